"""Postgres: the tables, the migrations and all SQL statements of the project. No Dagster."""
