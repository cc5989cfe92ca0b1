"""Endpoints, a module for each resource; each module has a ``router``. Queries and rules are in ``batches/``."""
