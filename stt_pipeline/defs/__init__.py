"""Everything that imports Dagster, one file a Dagster concept. It is thin: the work is in the packages below."""
