"""STT_ALLOWED_SOURCES holds for every way in, and for every time that a batch's source is opened."""

import uuid
from pathlib import Path

import pytest

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.ingest.scan import scan_batch
from stt_pipeline.batches.queries.progress import overviews, progress
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.batches.stages.transcribe import probe_files
from stt_pipeline.errors import ConfigurationError, InvalidRequestError
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.recordings import MAX_BYTES, scanned, write_tone
from stt_pipeline_tests.cli.conftest import Stt, stt, stt_on_database

__all__ = ["stt", "stt_on_database"]


@pytest.fixture
def allowed(tmp_path: Path) -> AllowedSources:
    """A folder with a recording, which alone is allowed, beside another one."""
    write_tone(tmp_path / "meetings" / "2026" / "a.wav")
    write_tone(tmp_path / "secret" / "a.wav")
    return AllowedSources.for_users(str(tmp_path / "meetings"))


def _replace_by_link(folder: Path, target: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.symlink_to(target)


def test_a_source_elsewhere_is_refused_and_nothing_is_written(
    database: Database, tmp_path: Path, allowed: AllowedSources
) -> None:
    for source in (tmp_path / "secret", tmp_path, tmp_path / "meetings" / ".." / "secret"):
        with pytest.raises(InvalidRequestError):
            create_batch(database, BatchRequest(source_path=str(source)), allowed=allowed)
    assert overviews(database, 10) == []
    assert create_batch(
        database, BatchRequest(source_path=str(tmp_path / "meetings" / "2026")), allowed=allowed
    ).id


def test_a_scan_checks_links_again(database: Database, tmp_path: Path, allowed: AllowedSources) -> None:
    source = tmp_path / "meetings" / "2026"
    batch = create_batch(database, BatchRequest(source_path=str(source)), allowed=allowed)
    _replace_by_link(source, tmp_path / "secret")
    with claimed_batch(database, batch.id, run_id=str(uuid.uuid4()), token=None, lease_seconds=60) as work:
        result = scan_batch(
            work, add_partitions=lambda keys: None, max_file_bytes=MAX_BYTES, open_source=allowed.open
        )
    assert "symbolic link" in (result.error or "")
    figures = progress(database, batch.id)
    assert (figures.status, figures.total_files) == ("failed", None)


def test_each_run_that_reads_files_checks_links_again(
    database: Database, tmp_path: Path, allowed: AllowedSources
) -> None:
    source = tmp_path / "meetings" / "2026"
    _, _, keys = scanned(database, source, allowed=allowed)
    _replace_by_link(source, tmp_path / "secret")
    claim = ClaimRequest(keys, "transcribe", str(uuid.uuid4()))
    with (
        pytest.raises(ConfigurationError, match="symbolic link"),
        ShardClaims(database, claim, lease_seconds=60, max_attempts=3, open_source=allowed.open) as work,
    ):
        probe_files(work)


def test_the_setting_holds_for_the_command_line(
    stt_on_database: Stt,
    database: Database,
    tmp_path: Path,
    allowed: AllowedSources,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert stt_on_database("batch", "create", "secret").code == 0
    monkeypatch.setenv("STT_ALLOWED_SOURCES", (tmp_path / "meetings").as_uri())
    for source in ("secret", "meetings/../secret", "~", "/etc"):
        ended = stt_on_database("batch", "create", source)
        assert (ended.code, ended.out) == (2, "")
        assert len(ended.err.splitlines()) == 1
    assert stt_on_database("batch", "create", "meetings/2026").code == 0
    assert [overview.name for overview in overviews(database, 10)] == ["2026", "secret"]
    monkeypatch.setenv("STT_ALLOWED_SOURCES", "meetings")
    ended = stt_on_database("batch", "create", "meetings")
    assert ended.code == 2
    assert ended.err.startswith("STT_ALLOWED_SOURCES cannot be used.")
