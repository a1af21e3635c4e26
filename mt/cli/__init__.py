"""The command line: arguments, help, completion, the live display and the closing summary."""
