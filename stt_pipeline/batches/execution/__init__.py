"""How a run works on shards: dispatch, claims with leases, and loops over files. No stage's own work."""
