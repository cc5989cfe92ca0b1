"""Queries on batches and shards as a work queue: states, leases, counters."""
