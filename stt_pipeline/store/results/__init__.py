"""Queries on what runs produce: transcripts, minutes, the search index, and the email log."""
