"""The `stt` command as a user calls it: arguments in; exit code, stdout and stderr out."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from stt_pipeline.cli.main import run
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.recordings import CountingTranscriber, OneSpeaker, scanned, write_tone
from stt_pipeline_tests.cli.processed_batches import process

STALE_DISPATCHER = "The dispatcher has not ticked yet: batches do not progress until `stt up` runs.\n"


def plain(printed: str) -> str:
    """Return the words of a table or box, without its lines and line breaks."""
    return " ".join(printed.replace("│", " ").split())


@dataclass(frozen=True)
class Ended:
    """A command that ended: its exit code and its output."""

    code: int
    out: str
    err: str

    @property
    def shown(self) -> str:
        """The words on stdout."""
        return plain(self.out)


Stt = Callable[..., Ended]


@pytest.fixture
def stt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Stt:
    """Run one `stt` command in this process."""

    def call(*arguments: object) -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["stt", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run()
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return call


@pytest.fixture
def stt_on_database(stt: Stt, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Stt:
    """Run `stt` commands on the empty database of the fixture ``database``."""
    monkeypatch.setenv("STT_DATABASE_URL", database_url)
    return stt


@pytest.fixture
def ended_batch(database: Database, tmp_path: Path) -> int:
    """A finished batch: two recordings with the same name, a text file named .mp3 and an empty file."""
    folder = tmp_path / "in"
    write_tone(folder / "월요일" / "회의 [1].wav", 2.0)
    write_tone(folder / "화요일" / "회의 [1].wav", 3.0)
    (folder / "[b]ad.mp3").write_text("this is text")
    (folder / "empty.wav").touch()
    batch, _, keys = scanned(database, folder, notify_emails=["kim@example.com"], name="[월간]")
    process(database, batch.id, keys, CountingTranscriber(), OneSpeaker(), tmp_path / "outbox")
    return batch.id
