"""Commands in messages: the shell can run them as they are printed."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stt_pipeline.cli.terminal import pasteable, program

HINT = "Follow it with: stt batch progress 2 --watch, or `stt batch show 2`. The file stt notes.wav is left."


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The `stt` of an environment that is not on the PATH."""
    folder = tmp_path / "a checkout" / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "stt").touch(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    program.cache_clear()
    yield folder / "stt"
    program.cache_clear()


def test_a_relative_path_in_the_checkout(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(script.parents[2])
    assert pasteable(HINT) == (
        "Follow it with: .venv/bin/stt batch progress 2 --watch, or `.venv/bin/stt batch show 2`. "
        "The file stt notes.wav is left."
    )


def test_a_quoted_path_from_elsewhere(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/usr")
    assert pasteable("See `stt doctor`.") == f"See `'{script}' doctor`."


@pytest.mark.parametrize("same", [True, False])
def test_the_name_only_if_it_is_this_installation(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    on_path = tmp_path / "bin"
    on_path.mkdir()
    if same:
        (on_path / "stt").symlink_to(script)
    else:
        (on_path / "stt").touch(0o755)
    monkeypatch.setenv("PATH", str(on_path))
    monkeypatch.chdir(script.parents[2])
    assert program() == ("stt" if same else ".venv/bin/stt")
