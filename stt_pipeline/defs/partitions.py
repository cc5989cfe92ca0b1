"""The two kinds of partitions: ``audio`` (a shard: an ordered group of audio files) and ``batch``.

Keys are made in ``batches.keys``. Why a partition is a shard and not a file is in docs/architecture.md.
"""

import dagster as dg

audio_partitions = dg.DynamicPartitionsDefinition(name="audio")
batch_partitions = dg.DynamicPartitionsDefinition(name="batch")


def all_of(asset: str) -> dg.AssetDep:
    """Return a dependency on all partitions of an asset of the other kind. It shows lineage and carries no value.

    The default would be the identity mapping, with which backfills fail.
    """
    return dg.AssetDep(asset, partition_mapping=dg.AllPartitionMapping())
