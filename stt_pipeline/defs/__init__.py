"""Everything that imports Dagster, one file for each of its concepts. Thin: the work is in the rooms below."""
