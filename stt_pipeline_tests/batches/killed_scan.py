"""Scans a source in a process that kills itself: ``python -m ... URL DAGSTER_HOME BATCH FILES KIND NUMBER``.

KIND says what is counted to NUMBER before the kill: ``object`` of the listing, SQL ``statement``, call of ``partitions``;
``never`` lets it live.
"""

import os
import signal
import sys
from collections.abc import Sequence
from itertools import count

import dagster as dg
from sqlalchemy import event
from sqlalchemy.engine import Engine

from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.ingest.scan import scan_batch
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.recordings import MAX_BYTES, Bucket

_url, _home, _batch, _files, _kind, _number = sys.argv[1:]
_statements = count()


def _reached(kind: str, number: int) -> None:
    if (kind, number) == (_kind, int(_number)):
        os.kill(os.getpid(), signal.SIGKILL)


with dg.DagsterInstance.from_config(_home) as instance:

    def add_partitions(keys: Sequence[str]) -> None:
        _reached("partitions", 0)
        instance.add_dynamic_partitions("audio", list(keys))
        _reached("partitions", 1)

    event.listen(Engine, "before_cursor_execute", lambda *_: _reached("statement", next(_statements)))
    source = Bucket(int(_files), at_object=lambda number: _reached("object", number))
    with claimed_batch(
        Database(_url), int(_batch), run_id=str(os.getpid()), token=None, lease_seconds=60
    ) as work:
        scan_batch(
            work,
            add_partitions=add_partitions,
            max_file_bytes=MAX_BYTES,
            open_source=lambda path, pattern: source,
        )
