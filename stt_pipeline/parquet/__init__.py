"""Parquet files on a disk or in S3: datasets of shards, and their compaction. It knows no table and no Postgres."""
