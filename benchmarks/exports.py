"""The memory of the admin API over 2,000 exports of an hour of speech, by eight concurrent clients.

`stt api` runs in a separate process, on a real Postgres (embedded) with one transcript: Korean speech of ``--minutes`` with
words, four speakers and minutes. The clients download it in every format in turn. The growth is the difference between the
resident memory after the last export and after each client has downloaded each format once.
"""

import argparse
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil

from benchmarks.api import served_api
from stt_pipeline.api import keys
from stt_pipeline.backends import FORMATS
from stt_pipeline.settings import Settings
from stt_pipeline.speech.transcript import Segment, SpeakerTurn, Word, segments_to_json, turns_to_json
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database
from stt_pipeline.store.migrations import upgrade
from stt_pipeline.store.results import transcriptions
from stt_pipeline.store.server.embedded import with_database

CLIENTS = 8
_WORDS = [
    "그럼",
    "이번",
    "주",
    "예산",
    "회의를",
    "시작하겠습니다",
    "보고서",
    "초안은",
    "다음",
    "주",
    "월요일까지",
    "김",
    "과장이",
    "공유합니다",
]
_SEGMENT_SECONDS, _WORD_SECONDS = 6.0, 0.4


def main() -> None:
    """Measure, and print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--exports", type=int, default=2_000)
    arguments.add_argument("--minutes", type=float, default=60.0, help="length of the recording")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="stt-exports-") as folder:
        settings = Settings(home=Path(folder) / "home", database_url="", _env_file=None)
        with with_database(settings) as url:
            upgrade(url)
            database = Database(url)
            transcription_id = add_transcript(database, options.minutes * 60)
            _, key = keys.create(database, name="benchmark", role="viewer", actor=Actor("benchmark"))
            database.dispose()
            with served_api(settings, url, Path(folder)) as (port, pid):
                figures = soak(port, pid, key, transcription_id, options.exports)
    print(json.dumps({"clients": CLIENTS, "minutes": options.minutes, **figures}))


def add_transcript(database: Database, seconds: float) -> int:
    """Insert a transcript of ``seconds`` of speech with a word every 0.4 s, and return its id."""
    from stt_pipeline_tests.rows import Rows

    count = max(1, round(seconds / _SEGMENT_SECONDS))
    segments = [_segment(number) for number in range(count)]
    turns = [SpeakerTurn(one.start, one.end, one.speaker or "") for one in segments]
    with database.begin() as connection:
        transcriptions.ensure_months(connection)
    rows = Rows(database)
    file_id = rows.audio_file(rows.shard(rows.batch()), duration=seconds)
    return rows.transcription(
        file_id,
        transcription_text=" ".join(one.text for one in segments),
        segments=segments_to_json(segments),
        speaker_labels=turns_to_json(turns),
        duration=seconds,
    )


def _segment(number: int) -> Segment:
    start = number * _SEGMENT_SECONDS
    speaker = f"SPEAKER_{number % 4:02d}"
    words = tuple(
        Word(
            start + place * _WORD_SECONDS,
            start + (place + 1) * _WORD_SECONDS,
            f" {_WORDS[(number + place) % len(_WORDS)]}",
            0.87,
            speaker,
        )
        for place in range(round(_SEGMENT_SECONDS / _WORD_SECONDS))
    )
    text = "".join(word.text for word in words)
    return Segment(start, start + _SEGMENT_SECONDS, text, words, speaker, -0.2, 0.01, 1.4, "ko")


def soak(port: int, pid: int, key: str, transcription_id: int, exports: int) -> dict[str, float]:
    """Download ``exports`` files, and return the resident memory of process ``pid``, in MB.

    Returns:
        ``mb_started`` is before the first export, ``mb_before`` after each client had each format once, ``growth_mb`` the
        growth from then to the end.
    """
    formats = tuple(FORMATS)
    _get(port, key, "/api/v1/admin/search?q=x")  # waits for the analyser, which the API loads while it starts
    started = _resident_mb(pid)
    _download(port, key, transcription_id, formats * CLIENTS)
    before = _resident_mb(pid)
    print(f"after each format: {before:.0f} MB", file=sys.stderr)
    highest, began = before, time.perf_counter()
    for first in range(0, exports, 100):
        count = min(100, exports - first)
        _download(port, key, transcription_id, [formats[(first + n) % len(formats)] for n in range(count)])
        highest = max(highest, _resident_mb(pid))
        print(f"{first + count} exports: {_resident_mb(pid):.0f} MB", file=sys.stderr)
    after = _resident_mb(pid)
    return {
        "exports": exports,
        "exports_per_second": round(exports / (time.perf_counter() - began), 1),
        "mb_started": round(started, 1),
        "mb_before": round(before, 1),
        "mb_after": round(after, 1),
        "mb_highest": round(highest, 1),
        "growth_mb": round(after - before, 1),
    }


def _download(port: int, key: str, transcription_id: int, formats: Sequence[str]) -> None:
    """Download one file of each of ``formats``; the clients share them."""

    paths = [f"/api/v1/admin/transcriptions/{transcription_id}/export?format={name}" for name in formats]
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda number: _get(port, key, *paths[number::CLIENTS]), range(CLIENTS)))


def _get(port: int, key: str, *paths: str) -> None:
    """Request the paths one after the other on one connection."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=600)) as connection:
        for path in paths:
            connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
            response = connection.getresponse()
            content = response.read()
            if response.status != 200:
                raise SystemExit(f"{path}: {response.status} {content[:500].decode(errors='replace')}")


def _resident_mb(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / (1 << 20)


if __name__ == "__main__":
    main()
