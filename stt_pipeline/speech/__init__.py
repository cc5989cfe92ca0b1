"""Audio in, transcript with speakers out. Plain Python: no Dagster, no database."""
