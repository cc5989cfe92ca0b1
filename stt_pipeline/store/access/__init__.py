"""Queries on API keys and the audit log."""
