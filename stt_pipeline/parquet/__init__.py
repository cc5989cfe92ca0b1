"""Parquet files on a disk or in S3: datasets of shards, and their compaction. No tables and no Postgres."""
