"""What stands behind the commands: arguments, checks, execution, display, records."""
