"""What is wrong with one batch of a run that works on several: the others go on, and no file is blamed."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from stt_pipeline.audio.opening import open_source
from stt_pipeline.audio.sound import Sound
from stt_pipeline.audio.sources import OpenSource, Source
from stt_pipeline.batches.execution import dispatch
from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.batches.stages.transcribe import find_speakers, probe_files, transcribe_files
from stt_pipeline.errors import ConfigurationError, SourceUnavailableError
from stt_pipeline.speech.recordings import Recording
from stt_pipeline.speech.transcript import Transcript
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.recordings import CountingTranscriber, OneSpeaker, scanned, write_tone
from stt_pipeline_tests.rows import Rows

UNAVAILABLE = "S3 does not answer. Try again later."


def _two_batches(database: Database, folder: Path, files: int = 2) -> list[str]:
    """Scan a batch of ``folder``/one and one of ``folder``/two, with ``files`` files each; return the keys of their shards."""
    keys = []
    for name in ("one", "two"):
        for number in range(files):
            write_tone(folder / name / f"{number}.wav", 0.1)
        keys += scanned(database, folder / name, files_per_shard=files)[2]
    return keys


def _unavailable(path: str, pattern: str) -> Source:
    if path.rstrip("/").endswith("one"):
        raise SourceUnavailableError(UNAVAILABLE)
    return open_source(path, pattern)


def _work(
    database: Database, keys: list[str], open_source: OpenSource = open_source, token: str | None = None
) -> ShardClaims:
    claim = ClaimRequest(keys, "transcribe", str(uuid.uuid4()), token, first_step=False)
    return ShardClaims(database, claim, lease_seconds=60, max_attempts=3, open_source=open_source)


def _files(database: Database) -> list[tuple[object, ...]]:
    return _rows(
        database,
        """SELECT f.batch_id, f.status, f.attempts, t.id IS NOT NULL FROM stt_audio_files f
           LEFT JOIN stt_transcriptions t ON t.audio_file_id = f.id ORDER BY f.id""",
    )


def _rows(database: Database, statement: str) -> list[tuple[object, ...]]:
    with database.begin() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def _errors(database: Database) -> list[object]:
    return [error for (error,) in _rows(database, "SELECT error FROM stt_batches ORDER BY id")]


def _waits(database: Database) -> list[object]:
    """Return for each shard whether it is free, and delayed for some time."""
    rows = _rows(
        database,
        "SELECT token IS NULL AND not_before > now() + interval '5 seconds' FROM stt_shards ORDER BY id",
    )
    return [waits for (waits,) in rows]


def _probe(work: ShardClaims) -> None:
    probe_files(work)


def _transcribe(work: ShardClaims) -> None:
    transcribe_files(work, lambda options: CountingTranscriber())


def _diarize(work: ShardClaims) -> None:
    find_speakers(work, lambda options: OneSpeaker())


@pytest.mark.slow
@pytest.mark.parametrize("failing_step", [_probe, _transcribe, _diarize])
def test_an_unavailable_source_postpones_its_shards_and_fails_no_file(
    database: Database, tmp_path: Path, failing_step: Callable[[ShardClaims], None]
) -> None:
    keys = _two_batches(database, tmp_path)
    for earlier in (_probe, _transcribe, _diarize):
        if earlier is failing_step:
            break
        with _work(database, keys) as work:
            earlier(work)
    transcribed = failing_step is _diarize
    for _ in range(4):
        with _work(database, keys, _unavailable) as work:
            failing_step(work)
            assert [shard.key for shard in work.shards] == keys[1:]
            assert work.refused == {keys[0]: UNAVAILABLE}
            assert [shard.done for shard in work.shards] == [2]
        assert _waits(database)[0]
        assert _errors(database) == [UNAVAILABLE, None]
    found = [status[:3] for status in _files(database)[:2]]
    assert found == [(1, "pending", 0)] * 2
    assert [has for *_, has in _files(database)[:2]] == [transcribed] * 2
    with _work(database, keys) as work:
        failing_step(work)
        assert [shard.done for shard in work.shards] == [2, 2]
    assert _errors(database) == [None, None]


def test_a_source_that_becomes_unavailable_keeps_earlier_results(database: Database, tmp_path: Path) -> None:
    keys = _two_batches(database, tmp_path, files=3)

    class _Failing(CountingTranscriber):
        def hear(self, recording: Recording, sound: Sound) -> Transcript:
            if self.calls == 1:
                self.calls += 1
                raise SourceUnavailableError(UNAVAILABLE)
            return super().hear(recording, sound)

    with _work(database, keys) as work:
        probe_files(work)
        transcribe_files(work, lambda options: _Failing())
        assert work.refused == {keys[0]: UNAVAILABLE}
    assert [(attempts, has) for *_, attempts, has in _files(database)] == [
        *((0, True), (0, False), (0, False)),
        *[(0, True)] * 3,
    ]


def test_an_order_whose_source_is_unavailable_is_repeated_later(database: Database, tmp_path: Path) -> None:
    keys = _two_batches(database, tmp_path)
    orders = dispatch.tick(database, max_shards_in_flight=9, max_active_batches=9, max_attempts=3)
    token = next(order.token for order in orders if keys[0] in order.keys)
    with _work(database, keys[:1], _unavailable, token) as work:
        probe_files(work)
        assert work.shards == []
    with _work(database, keys[:1], token=token) as later_step:
        assert list(later_step.refused) == keys[:1]
    assert (_waits(database)[0], _errors(database)) == (True, [UNAVAILABLE, None])


def test_options_of_an_older_version_stop_their_batch_alone(database: Database, tmp_path: Path) -> None:
    keys = _two_batches(database, tmp_path)
    Rows(database).change(tables.batches, tables.batches.c.id == 1, options={"language": "korean"})
    with _work(database, keys) as work:
        assert [shard.key for shard in work.shards] == keys[1:]
        assert "language: 'korean' is not a language code" in work.refused[keys[0]]
    first, second = _errors(database)
    assert "language: 'korean' is not a language code" in str(first)
    assert second is None
    assert _waits(database)[0]


@pytest.mark.slow
def test_a_wrong_setting_is_shown_on_its_batch_and_earlier_results_are_kept(
    database: Database, tmp_path: Path
) -> None:
    keys = _two_batches(database, tmp_path, files=3)

    class _Failing(CountingTranscriber):
        def hear(self, recording: Recording, sound: Sound) -> Transcript:
            if self.calls == 4:
                raise ConfigurationError("It does not know the language.")
            return super().hear(recording, sound)

    with pytest.raises(ConfigurationError), _work(database, keys) as work:
        probe_files(work)
        transcribe_files(work, lambda options: _Failing())
    assert sum(has is True for *_, has in _files(database)) == 4
    assert _errors(database) == [None, "It does not know the language."]

    def diarizer_for(options: BatchOptions) -> OneSpeaker:
        if not options.diarizer:
            return OneSpeaker()
        raise ConfigurationError("It is not installed.")

    Rows(database).change(tables.batches, tables.batches.c.id == 2, options={"diarizer": "pyannote"})
    with pytest.raises(ConfigurationError), _work(database, keys) as work:
        find_speakers(work, diarizer_for)
    assert _errors(database) == [None, "It is not installed."]
    assert [status for _, status, *_ in _files(database)] == ["transcribed"] * 3 + ["pending"] * 3


def test_a_model_that_is_not_available_is_shown_on_all_its_batches(
    database: Database, tmp_path: Path
) -> None:
    keys = _two_batches(database, tmp_path)

    def transcriber_for(options: BatchOptions) -> CountingTranscriber:
        raise ConfigurationError("There is no such model.")

    with pytest.raises(ConfigurationError), _work(database, keys) as work:
        probe_files(work)
        transcribe_files(work, transcriber_for)
    assert _errors(database) == ["There is no such model."] * 2
