"""Full-text search: makes searchable blocks from transcripts and minutes, and queries from search text.

Both use the same morphological analysis of Korean. No database and no audio here.
"""
