"""The `stt` command: arguments, tables and progress bars. The other packages do the work."""
