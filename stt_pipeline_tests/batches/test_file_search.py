"""Recordings are found by a part of their name, however it is written and in however many windows of ids."""

import os
import unicodedata
from pathlib import Path

import pytest

from stt_pipeline.batches.queries.file_search import find_files
from stt_pipeline.errors import InvalidRequestError, NotFoundError
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.recordings import scanned, write_tone
from stt_pipeline_tests.rows import Rows

NAMES = (
    "월간/회의 [1].wav",
    "월간/100%_done.wav",
    "Board.MP3.wav",
    unicodedata.normalize("NFD", "예산안.wav"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        write_tone(tmp_path / "in" / name, 0.1)
    return tmp_path / "in"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("회의", "월간/회의 [1].wav"),
        (unicodedata.normalize("NFD", "회의"), "월간/회의 [1].wav"),
        ("월간/회의 [1].wav", "월간/회의 [1].wav"),
        ("100%_", "월간/100%_done.wav"),
        ("board.mp3", "Board.MP3.wav"),
        ("예산안", "예산안.wav"),
    ],
)
def test_a_file_is_found_by_a_part_of_its_path(
    database: Database, folder: Path, wanted: str, found: str
) -> None:
    scanned(database, folder)
    assert [one.path for one in find_files(database, wanted, limit=10)] == [found]


def test_the_folder_of_the_source_does_not_match(database: Database, folder: Path) -> None:
    scanned(database, folder)
    assert find_files(database, str(folder.parent.name), limit=10) == []


def test_a_whole_address_and_bytes_that_are_not_utf_8_are_found(database: Database, folder: Path) -> None:
    name = os.fsdecode(b"m\xe9eting.wav")
    write_tone(folder / name, 0.1)
    scanned(database, folder)
    (by_bytes,) = find_files(database, name, limit=10)
    assert [one.file for one in find_files(database, by_bytes.file.uri, limit=10)] == [by_bytes.file]


def test_all_batches_are_searched_the_newest_first_up_to_the_limit(database: Database, folder: Path) -> None:
    first, second = (scanned(database, folder)[0] for _ in range(2))
    assert [one.batch.id for one in find_files(database, "회의", limit=10)] == [second.id, first.id]
    assert [one.batch.id for one in find_files(database, "회의", limit=1)] == [second.id]
    assert [one.batch.id for one in find_files(database, "회의", batch_id=first.id, limit=9)] == [first.id]


def test_every_window_of_ids_is_read(database: Database) -> None:
    rows = Rows(database)
    shard = rows.shard(batch := rows.batch(source_path="s3://calls"))
    for number in range(30):
        rows.audio_file(shard, uri=f"s3://calls/{number:03}.wav", etag="1")
    assert len(find_files(database, ".wav", batch_id=batch, limit=100, window=7)) == 30


def test_an_empty_name_and_an_unknown_batch_are_refused(database: Database) -> None:
    with pytest.raises(InvalidRequestError, match="empty"):
        find_files(database, " ", limit=1)
    with pytest.raises(NotFoundError):
        find_files(database, "a", batch_id=12, limit=1)
