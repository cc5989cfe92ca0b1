"""Which batches show an error after a run over their shards, and which error.

A run may be over shards of several batches, and an error is shown only on those that it is about.
"""

from collections.abc import Collection

from sqlalchemy import Connection

from stt_pipeline.errors import ConfigurationError, InvalidRequestError, SttError
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches


class BatchErrors:
    """The errors that a run shows on its batches."""

    def __init__(self, database: Database, *, run_id: str) -> None:
        """Nothing is shown yet."""
        self._database = database
        self._run_id = run_id
        self._shown_on: set[int] = set()  # batches that show an error of their own
        self._shown: ConfigurationError | None = None

    def show(self, connection: Connection, batch_id: int, message: str) -> None:
        """Show an error on one batch; :meth:`finish` keeps it."""
        self._shown_on.add(batch_id)
        batches.set_error(connection, batch_id, message)

    def show_configuration_error(self, batch_ids: Collection[int], error: ConfigurationError) -> None:
        """Show an error that ends the run on the batches that it is about; only the first call for an error counts."""
        if error is self._shown or not batch_ids:
            return
        with self._database.begin() as connection:
            for batch_id in sorted(batch_ids):
                batches.set_error(connection, batch_id, str(error))
        self._shown = error

    def finish(self, connection: Connection, batch_ids: Collection[int], error: BaseException | None) -> None:
        """Show an error that ended the run on the other batches, or remove their old errors after a run without one."""
        if isinstance(error, InvalidRequestError):
            return  # a mistake of the user who started the run
        if error is not None and error is self._shown:
            return
        for batch_id in set(batch_ids) - self._shown_on:
            batches.set_error(connection, batch_id, self._message(error))

    def _message(self, error: BaseException | None) -> str | None:
        if error is None:
            return None
        if isinstance(error, SttError):
            return str(error)
        return f"Run {self._run_id} ended early; see its log in the Dagster UI."
