"""The Postgres server: its URL, and the embedded server of one machine. No tables."""
