"""The data version of a partition, from the options that its results were made with.

Dagster compares data versions and code versions to tell what is stale. What a run of a user does again is decided by the
same fingerprints in Postgres (``store.results.staleness``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.requests.fingerprint import digest
from stt_pipeline.defs.dagster_private import latest_materializations, version_tags
from stt_pipeline.defs.stages import CODE_VERSIONS, STAGE_ASSETS
from stt_pipeline.store.database import Database
from stt_pipeline.store.results import staleness
from stt_pipeline.store.results.staleness import StoredOptions

_SHARD_ASSETS = {asset for assets in STAGE_ASSETS.values() for asset in assets}

# an asset's results depend on the options of these results
_RESULTS: Mapping[str, tuple[str, ...]] = {
    "audio_files": (),
    "transcripts": ("transcript",),
    "speaker_turns": ("transcript", "speakers"),
    "meeting_minutes": ("transcript", "speakers", "minutes"),
    "notifications": ("transcript", "speakers", "minutes"),
}

# the code version of assets whose results no setting changes
_NO_SETTINGS = "1"


class PartitionVersions:
    """Data versions of the shards of one step; :meth:`read` reads them for several shards at once."""

    def __init__(self, context: dg.AssetExecutionContext, database: Database) -> None:
        """Nothing is read before :meth:`read`."""
        self._context = context
        self._database = database
        self._asset = context.asset_key.path[-1]
        self._stored: dict[int, list[StoredOptions]] = {}
        self._latest: Mapping[str, int] = {}
        self._parents: dict[dg.AssetKey, Mapping[str, int]] = {}

    def read(self, shards: Sequence[ClaimedShard]) -> None:
        """Read what is known about some shards, before their events are written."""
        instance, keys = self._context.instance, [shard.key for shard in shards]
        self._latest = latest_materializations(instance, self._context.asset_key, keys)
        for parent in self._context.assets_def.asset_deps[self._context.asset_key]:
            if parent.path[-1] in _SHARD_ASSETS:
                self._parents[parent] = latest_materializations(instance, parent, keys)
            else:  # all partitions of the other kind: those of other batches must not make this one stale
                self._parents[parent] = {}
        with self._database.begin() as connection:
            self._stored = staleness.options_of_shards(connection, [shard.shard.id for shard in shards])

    def is_materialized(self, key: str) -> bool:
        """Return whether Dagster had a materialization of this partition when :meth:`read` was called."""
        return key in self._latest

    def tags(self, shard: ClaimedShard) -> dict[str, str]:
        """Return the tags of a materialization: data version, code version, and the parents' materializations."""
        return version_tags(
            code=CODE_VERSIONS.get(self._asset, _NO_SETTINGS),
            data=self._data_version(shard),
            parents={parent: latest.get(shard.key) for parent, latest in self._parents.items()},
        )

    def metadata(self, shard: ClaimedShard) -> dict[str, Any]:
        """Return the number of files whose results are stale; nothing if there is none."""
        names = _RESULTS[self._asset]
        stale = sum(
            stored.files
            for stored in self._stored.get(shard.shard.id, [])
            if any(getattr(stored, name) not in (None, getattr(shard.fingerprints, name)) for name in names)
        )
        if not stale:
            return {}
        return {
            "stale": f"{stale} of {shard.shard.total} files were made with another model or other options than are set now: "
            "materialize this partition to make them again"
        }

    def _data_version(self, shard: ClaimedShard) -> str:
        """Return the digest of the different options that the shard's results were made with."""
        names = _RESULTS[self._asset]
        if not names:
            return _NO_SETTINGS
        stored = self._stored.get(shard.shard.id, [])
        return digest(sorted({" ".join(str(getattr(one, name)) for name in names) for one in stored}))
