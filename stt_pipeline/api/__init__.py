"""The admin API: HTTP requests that read and write rows of the store. It never waits for Dagster.

``app`` creates the application, ``routes/`` has the endpoints, ``access.ROLES`` has the role that each endpoint needs.
"""
