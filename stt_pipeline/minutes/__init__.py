"""Minutes of a transcript, and the export formats of both. Plain Python: no Dagster, no database."""
