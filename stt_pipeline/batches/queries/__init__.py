"""What users read about batches: progress, files, results, search, exports. Nothing here changes a row."""
