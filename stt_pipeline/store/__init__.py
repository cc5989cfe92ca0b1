"""Postgres: tables, migrations and every SQL statement of the project. Knows nothing of Dagster."""
