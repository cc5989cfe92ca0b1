"""Finds and reads references: the true text and speaker turns of recordings, in files beside them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stt_pipeline.audio.patterns import AUDIO_EXTENSIONS
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.speech.evaluation.rttm import read_rttm
from stt_pipeline.speech.transcript import SpeakerTurn

SUBFOLDER = "reference"


@dataclass(frozen=True, slots=True)
class Annotation:
    """The text and the speaker turns of one recording, from a reference or a result; None for what is missing."""

    text: str | None = None
    turns: tuple[SpeakerTurn, ...] | None = None
    language: str = ""
    duration: float = 0.0
    quality: float | None = None


@dataclass(frozen=True, slots=True)
class Corpus:
    """The recordings of a folder and their references, in order of name.

    Attributes:
        references: annotations by recording.
        without_reference: recordings without a reference file.
        without_recording: reference files without a recording.
    """

    references: Mapping[Path, Annotation]
    without_reference: tuple[Path, ...]
    without_recording: tuple[Path, ...]


def read_corpus(folder: Path) -> Corpus:
    """Return the recordings of ``folder`` with their references: files of the same name beside them or in `reference/`.

    NAME.json has ``segments`` with ``start``, ``end``, ``text`` and ``speaker``, as exports and `samples/reference` do.
    NAME.txt has only the text. NAME.rttm has the speaker turns; without it, they are read from the JSON. Subfolders are
    not scanned.

    Raises:
        InvalidRequestError: the folder is missing or contains no recording, two recordings have the same name, or a
            reference cannot be read.
    """
    if not folder.is_dir():
        raise InvalidRequestError(
            f"{folder} is not a folder: give a folder with recordings and their references."
        )
    recordings = sorted(
        path for path in folder.iterdir() if path.suffix[1:].lower() in AUDIO_EXTENSIONS and path.is_file()
    )
    if not recordings:
        raise InvalidRequestError(
            f"{folder} has no recordings: none of its files has the extension of an audio or video format."
        )
    stems = [path.stem for path in recordings]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise InvalidRequestError(
            f"{folder} has several recordings named {', '.join(twice)}: the reference is ambiguous. Rename one of them."
        )
    folders = (folder, folder / SUBFOLDER)
    found = {path: read_annotation(folders, path.stem) for path in recordings}
    orphans = {
        path
        for place in folders
        for kind in ("json", "rttm", "txt")
        for path in place.glob(f"*.{kind}")
        if path.stem not in stems
    }
    return Corpus(
        {path: annotation for path, annotation in found.items() if annotation},
        tuple(path for path, annotation in found.items() if not annotation),
        tuple(sorted(orphans)),
    )


def read_annotation(folders: tuple[Path, ...], stem: str, *, plain_text: bool = True) -> Annotation | None:
    """Return the annotation in the files named ``stem``, from the first of ``folders`` that has them; None without files.

    Without ``plain_text``, NAME.txt is skipped: among exports it is a readable page with times and speakers.

    Raises:
        InvalidRequestError: one of them cannot be read.
    """
    annotation: Annotation | None = None
    if page := _first(folders, f"{stem}.json"):
        annotation = _read_json(page)
    elif plain_text and (plain := _first(folders, f"{stem}.txt")):
        annotation = Annotation(_read(plain))
    if rttm := _first(folders, f"{stem}.rttm"):
        _read(rttm)
        annotation = replace(annotation or Annotation(), turns=read_rttm(rttm))
    return annotation


def _first(folders: tuple[Path, ...], name: str) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequestError(f"{path} cannot be read: {error}. A reference is a UTF-8 file.") from error


def _read_json(path: Path) -> Annotation:
    try:
        page = json.loads(_read(path))
        rows: list[dict[str, Any]] = page["segments"]
        text = " ".join(row["text"] for row in rows)
        turns = tuple(
            SpeakerTurn(float(row["start"]), float(row["end"]), row["speaker"])
            for row in rows
            if row.get("speaker")
        )
        quality = page.get("quality")
        return Annotation(
            text,
            turns or None,
            str(page.get("language", "")),
            float(page.get("duration", 0.0)),
            None if quality is None else float(quality),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequestError(
            f"{path} cannot be scored: expected an object with segments, each with start, end, text and speaker "
            f"({type(error).__name__}: {error})."
        ) from error
