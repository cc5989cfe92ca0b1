"""Batches without Dagster: requests, scans, dispatch, the stages of a shard, progress, reports and maintenance."""
