"""Audio sources and files: list, open, probe and decode. Nothing here knows about speech."""
