"""The `stt` command as a user calls it: arguments in; exit code, stdout and stderr out."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from stt_pipeline.cli.main import run


def plain(printed: str) -> str:
    """Return the words of a table or box, without its lines and line breaks."""
    return " ".join(printed.replace("│", " ").split())


@dataclass(frozen=True)
class Ended:
    """What a command left: its exit code and what it printed."""

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
    """The same, on the empty database of the fixture ``database``."""
    monkeypatch.setenv("STT_DATABASE_URL", database_url)
    return stt
