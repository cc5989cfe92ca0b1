"""Full-text search: transcripts and minutes in, blocks of words out; and what people type in, a query out.

Korean goes through the morphological analyser on both ways. Nothing here knows a database or a recording.
"""
