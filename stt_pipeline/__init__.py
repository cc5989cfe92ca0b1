"""Meeting audio to speaker-attributed transcripts and minutes, at the size of millions of files, with Dagster.

The rooms and the direction of imports are described in docs/architecture.md.
"""
