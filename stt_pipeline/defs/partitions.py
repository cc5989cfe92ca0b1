"""The two kinds of partitions: ``audio`` (a shard: an ordered group of audio files) and ``batch``.

Keys are made in ``batches.keys``; why a shard and not a file is in docs/architecture.md.
"""

import dagster as dg

audio_partitions = dg.DynamicPartitionsDefinition(name="audio")
batch_partitions = dg.DynamicPartitionsDefinition(name="batch")


def all_of(asset: str) -> dg.AssetDep:
    """Depend on all partitions of an asset of the other kind: shows lineage, carries no value and no readiness.

    The inferred mapping would be the identity and make backfills fail.
    """
    return dg.AssetDep(asset, partition_mapping=dg.AllPartitionMapping())
