"""Every code block of README and docs is run or parsed by a test, so an example that does not work cannot stay.

Commands of `stt` are parsed by the command line itself, which knows each option. ``store/test_data_page.py`` runs the blocks
of docs/data.md on data of its own.
"""

import json
import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer.main
from click import Context, Group

from stt_pipeline.audio.sound import SoundFile
from stt_pipeline.backends import Backend
from stt_pipeline.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docker").rglob("*.md")],
    key=lambda page: page.name,
)

RUN_BY_A_TEST = {
    ("data.md", "python"),
    ("data.md", "sql"),
    ("speech.md", "python"),
    ("CONTRIBUTING.md", "python"),
}
PARSED_BY_A_TEST = {"", "bash", "json", "mermaid"}

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
_INDENTED = re.compile(r"^    (?=\S).+$", re.M)
_STT = re.compile(r"^(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?stt (.+)")


def blocks(name: str, language: str) -> list[str]:
    """Return the code blocks of a language of the page with this name."""
    (page,) = [page for page in PAGES if page.name == name]
    return [content for kind, content in _BLOCK.findall(page.read_text("utf-8")) if kind == language]


def shell_lines() -> Iterator[str]:
    """Yield the lines of commands of all pages: those of blocks without a language or in bash, and indented ones."""
    for page in PAGES:
        text = page.read_text("utf-8")
        found = [content for language, content in _BLOCK.findall(text) if language in ("", "bash")]
        yield from "\n".join([*found, *_INDENTED.findall(text)]).replace("\\\n", " ").splitlines()


def stt_commands() -> list[str]:
    """Return the arguments of the `stt` commands of all pages."""
    return sorted({match[1] for line in shell_lines() if (match := _STT.match(line.strip()))})


def test_a_test_knows_every_kind_of_block() -> None:
    kinds = {
        (page.name, language) for page in PAGES for language, _ in _BLOCK.findall(page.read_text("utf-8"))
    }
    assert {kind for kind in kinds if kind[1] not in PARSED_BY_A_TEST} == RUN_BY_A_TEST


@pytest.mark.parametrize("command", stt_commands())
def test_stt_knows_every_command(command: str) -> None:
    words = shlex.split(command, comments=True)
    for end in ("|", ">", "&&", "&"):
        words = words[: words.index(end)] if end in words else words
    found = typer.main.get_command(app)
    context = Context(found, info_name="stt")
    while isinstance(found, Group):
        name, *words = words
        subcommand = found.get_command(context, name)
        assert subcommand is not None, f"there is no command {name!r}"
        found, context = subcommand, Context(subcommand, info_name=name, parent=context)
    found.make_context(found.name, words, parent=context.parent)


def test_every_module_that_a_page_starts_exists() -> None:
    modules = {match[1] for line in shell_lines() if (match := re.search(r"python -m ([\w.]+)", line))}
    assert {name for name in modules if find_spec(name) is None} == set()
    assert "benchmarks.scale" in modules


def test_every_json_block_is_valid() -> None:
    found = [
        content
        for page in PAGES
        for kind, content in _BLOCK.findall(page.read_text("utf-8"))
        if kind == "json"
    ]
    assert found
    assert all(json.loads(content) for content in found)


@pytest.mark.slow
def test_the_example_of_the_speech_page_transcribes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = blocks("speech.md", "python")
    sample = min((ROOT / "samples").glob("*.wav"), key=lambda file: file.stat().st_size)
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / sample.name).symlink_to(sample)
    exec(code, {})  # the working folder of a test is its tmp_path
    printed = capsys.readouterr().out
    assert printed.startswith(f"{sample.name} Transcript(")
    assert "회의" in printed


def test_the_diarizer_of_the_contributing_page_works() -> None:
    code, entry = blocks("CONTRIBUTING.md", "python")
    names: dict[str, Any] = {"Backend": Backend}
    exec(code, names)
    sample = min((ROOT / "samples").glob("*.wav"), key=lambda file: file.stat().st_size)
    assert {turn.speaker for turn in names["OneSpeaker"]().diarize(SoundFile(sample))} == {"SPEAKER_00"}
    assert eval(f"{{{entry}}}", names)["one"].factory.endswith(":OneSpeaker")
