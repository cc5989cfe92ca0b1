"""Parquet as Dagster sees it: an asset returns rows by shard, and each shard becomes one file of its dataset.

Schemas and paths are in ``store.datasets``.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import dagster as dg

from stt_pipeline.batches.keys import batch_id_of, batch_key, shard_stem
from stt_pipeline.batches.results import Rows
from stt_pipeline.settings import Settings
from stt_pipeline.store import datasets

if TYPE_CHECKING:
    import pandas as pd
    from upath import UPath


class ParquetIOManager(dg.ConfigurableIOManager):
    """Writes and reads one dataset; several partitions of a run are several files.

    Attributes:
        dataset: name of the dataset, a folder under the data root.
        root: the data root; empty takes STT_DATA_URI.
    """

    dataset: str
    root: str = ""

    def handle_output(self, context: dg.OutputContext, obj: Iterable[tuple[str, Rows]]) -> None:
        """Write (shard key, rows) one after the other, so that only one shard's rows are in memory."""
        for key, rows in obj:
            datasets.write(self._path(key), self._dataset, rows)

    def load_input(self, context: dg.InputContext) -> "pd.DataFrame":
        """Return the rows of all partitions asked for, as a pandas DataFrame."""
        import pandas as pd

        frames = [pd.read_parquet(str(self._path(key))) for key in context.asset_partition_keys]
        return pd.concat(frames, ignore_index=True)

    @property
    def _dataset(self) -> datasets.Dataset:
        return "minutes" if self.dataset == "minutes" else "transcripts"

    def _path(self, key: str) -> "UPath":
        root = self.root or Settings().data_root
        return datasets.shard_path(root, self._dataset, batch_key(batch_id_of(key)), shard_stem(key))
