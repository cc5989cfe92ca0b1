"""How runs process shards: dispatch, claims with leases, and the loops over files. The stages' own work is elsewhere."""
