"""The admin API: HTTP in, rows of the store out. It holds no logic of its own and never waits for Dagster.

``app`` joins everything; ``routes/`` has an endpoint for each thing people do; who may do it is ``access.ROLES``.
"""
