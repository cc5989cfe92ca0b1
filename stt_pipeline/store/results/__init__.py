"""Results of runs: transcripts, minutes, the search index and the email log."""
