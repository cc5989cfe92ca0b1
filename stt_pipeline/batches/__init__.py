"""A batch's life without Dagster: validation, intake, dispatch, the work on a shard, progress, completion."""
