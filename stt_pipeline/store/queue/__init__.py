"""The work queue: batches and shards with their states, leases, counters and heartbeats."""
