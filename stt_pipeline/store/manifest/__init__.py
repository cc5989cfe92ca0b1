"""The manifest: audio files, the staging table of a scan, and watches."""
