"""How audio files get into batches: scans of a source, polls of a watch, and the queue consumer."""
