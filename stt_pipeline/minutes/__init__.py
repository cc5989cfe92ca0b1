"""Transcript in, minutes out, and the file formats both are written in. Plain Python: no Dagster, no database."""
