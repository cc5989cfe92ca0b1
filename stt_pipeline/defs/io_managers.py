"""The Parquet IO manager: each shard becomes one file of a dataset, and assets downstream load such files.

Schemas and paths are in ``parquet.datasets``; how files are written to a disk or a bucket is in ``parquet.files``.
"""

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from stt_pipeline.batches.keys import ShardKey
from stt_pipeline.batches.queries.results import Rows
from stt_pipeline.errors import NotFoundError
from stt_pipeline.parquet import datasets
from stt_pipeline.parquet.files import data_folder
from stt_pipeline.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    from upath import UPath


class ParquetIOManager(dg.ConfigurableIOManager):
    """Writes and reads one dataset, with one file for each partition."""

    dataset: str = Field(description="Name of the dataset, a folder under the data root.")
    root: str = Field(
        default="",
        description="The data root: a path, file:///path or s3://bucket/prefix. Empty: STT_DATA_URI of the run.",
    )

    def write_shard(self, key: str, rows: Rows, settings: Settings) -> None:
        """Write the file of one shard; a step calls it when the shard is finished, before it is materialized."""
        datasets.write(self._path(data_folder(settings, self.root), key), self._dataset, rows)

    def handle_output(self, context: dg.OutputContext, obj: None) -> None:
        """Write nothing: the step has written the file of each shard."""

    def load_input(self, context: dg.InputContext) -> "pd.DataFrame":
        """Return the rows of all requested partitions as a pandas DataFrame.

        Raises:
            NotFoundError: a partition has no file.
        """
        root = data_folder(Settings(), self.root)
        try:
            return datasets.read(
                (self._path(root, key) for key in context.asset_partition_keys), self._dataset
            )
        except FileNotFoundError as error:
            raise NotFoundError(
                f"A partition of {self.dataset} has no file under {root}: materialize it first. ({error})"
            ) from error

    @property
    def _dataset(self) -> datasets.Dataset:
        return "minutes" if self.dataset == "minutes" else "transcripts"

    def _path(self, root: "UPath", partition_key: str) -> "UPath":
        key = ShardKey.parse(partition_key)
        return datasets.shard_path(root, self._dataset, str(key.batch_key), key.stem)
