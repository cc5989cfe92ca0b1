"""`stt batch`: a module for each command, registered in ``commands``. They read and write rows; `stt up` does the work."""
