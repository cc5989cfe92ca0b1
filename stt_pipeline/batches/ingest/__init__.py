"""How audio files get into batches: the scan of a source, the poll of a watch, and the consumer of a queue."""
