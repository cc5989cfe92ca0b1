"""Maintenance of finished batches: deletion, retention of partitions, compaction of Parquet files."""
