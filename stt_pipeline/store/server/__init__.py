"""The Postgres server: its URL, and the embedded server for one machine. No tables."""
