"""Requests of users: create, change, retry and estimate batches, and watch sources. Nothing here runs work."""
