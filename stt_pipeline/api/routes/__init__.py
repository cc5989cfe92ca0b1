"""Endpoints, a module for each kind of thing; each module has a ``router``. Queries and rules are in the rooms below."""
