"""The `stt` command: arguments, tables and progress bars. The work is in the rooms below."""
