"""Audio in, transcript with speakers out. Plain Python without Dagster and without a database."""
