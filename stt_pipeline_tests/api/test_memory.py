"""The memory of `stt api` while clients download: it returns to where it was before."""

from pathlib import Path

import pytest

from benchmarks.api import served_api
from benchmarks.exports import add_transcript, soak
from stt_pipeline.api import keys
from stt_pipeline.settings import Settings
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database

MAX_GROWTH_MB = 60.0  # 130 MB before the limits of `transcript_reads`


@pytest.mark.slow
def test_exports_leave_no_memory_behind(database: Database, tmp_path: Path) -> None:
    transcription_id = add_transcript(database, 3600.0)
    _, key = keys.create(database, name="tests", role="viewer", actor=Actor("tests"))
    settings = Settings(home=tmp_path, _env_file=None)  # type: ignore[call-arg]
    with served_api(settings, database.url, tmp_path) as (port, pid):
        figures = soak(port, pid, key, transcription_id, exports=70)
    assert figures["mb_after"] - figures["mb_started"] < MAX_GROWTH_MB, figures
