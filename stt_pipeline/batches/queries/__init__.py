"""Queries on batches: progress, files, results, search and exports. Nothing here changes a row."""
