"""Queries on the manifest: audio files, the staging of a listing, and watches."""
