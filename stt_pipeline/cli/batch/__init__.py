"""`stt batch`: a module for each command, joined in ``commands``. They write and read rows; `stt up` does the work."""
