"""What processes share through files, and how one process keeps another: locks, JSON lines, supervised children."""
