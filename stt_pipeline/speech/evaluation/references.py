"""What is true about recordings, as it lies beside them: texts and speaker turns, found and read. Nothing is scored here."""

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
    """What is known of one recording, by a reference or by a result: ``text``, who speaks when, or both; else None."""

    text: str | None = None
    turns: tuple[SpeakerTurn, ...] | None = None
    language: str = ""
    duration: float = 0.0
    quality: float | None = None


@dataclass(frozen=True, slots=True)
class Corpus:
    """The recordings of a folder and their references, in order of name.

    Attributes:
        references: what is known, by recording.
        without_reference: recordings beside which nothing lies.
        without_recording: references of no recording.
    """

    references: Mapping[Path, Annotation]
    without_reference: tuple[Path, ...]
    without_recording: tuple[Path, ...]


def read_corpus(folder: Path) -> Corpus:
    """Return the recordings of ``folder`` with their references, which have their names, beside them or in `reference/`.

    NAME.json has ``segments`` with ``start``, ``end``, ``text`` and ``speaker``, as exports and `samples/reference` have
    them; NAME.txt is the text alone; NAME.rttm has the speaker turns, and where it is missing they are taken from the
    JSON. Folders below are not looked into.

    Raises:
        InvalidRequestError: there is no such folder or no recording in it, two recordings share a name, or a reference
            cannot be read.
    """
    if not folder.is_dir():
        raise InvalidRequestError(f"{folder} is not a folder: give one with recordings and their references.")
    recordings = sorted(
        path for path in folder.iterdir() if path.suffix[1:].lower() in AUDIO_EXTENSIONS and path.is_file()
    )
    if not recordings:
        raise InvalidRequestError(f"{folder} has no recordings: none of its files ends like audio or video.")
    stems = [path.stem for path in recordings]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise InvalidRequestError(
            f"{folder} has several recordings called {', '.join(twice)}: a reference could be of either. Rename one."
        )
    places = (folder, folder / SUBFOLDER)
    found = {path: read_known(places, path.stem) for path in recordings}
    lone = {
        path
        for place in places
        for kind in ("json", "rttm", "txt")
        for path in place.glob(f"*.{kind}")
        if path.stem not in stems
    }
    return Corpus(
        {path: known for path, known in found.items() if known},
        tuple(path for path, known in found.items() if not known),
        tuple(sorted(lone)),
    )


def read_known(places: tuple[Path, ...], stem: str, *, plain_text: bool = True) -> Annotation | None:
    """Return what the files of that name in the first of ``places`` that has them say; None if there are none.

    Without ``plain_text``, NAME.txt is passed over: among results it is a page for people, with times and names.

    Raises:
        InvalidRequestError: one of them cannot be read.
    """
    known: Annotation | None = None
    if page := _first(places, f"{stem}.json"):
        known = _read_json(page)
    elif plain_text and (plain := _first(places, f"{stem}.txt")):
        known = Annotation(_read(plain))
    if rttm := _first(places, f"{stem}.rttm"):
        _read(rttm)
        known = replace(known or Annotation(), turns=read_rttm(rttm))
    return known


def _first(places: tuple[Path, ...], name: str) -> Path | None:
    return next((place / name for place in places if (place / name).is_file()), None)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequestError(
            f"{path} cannot be read: {error}. A reference is a file in UTF-8."
        ) from error


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
