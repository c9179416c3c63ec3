"""The `parking` command, a file a group."""
