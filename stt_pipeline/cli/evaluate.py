"""`stt evaluate`: transcribes recordings that have references, and prints their error rates."""

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from stt_pipeline.audio.address import display_name
from stt_pipeline.audio.sound import Sound, SoundFile
from stt_pipeline.batches.requests.backend_choice import diarizer_for, transcriber_for
from stt_pipeline.batches.requests.options import BatchOptions, speaker_count, transcription_options
from stt_pipeline.cli.speech_options import DiarizerFlag, OptionPairs, speech_options
from stt_pipeline.cli.terminal import err, out, print_status
from stt_pipeline.cli.transcription_bars import TranscriptionBars
from stt_pipeline.errors import ConfigurationError, FileError, InvalidRequestError
from stt_pipeline.settings import Settings
from stt_pipeline.speech.channel_speakers import find_turns
from stt_pipeline.speech.diarization import Diarizer
from stt_pipeline.speech.evaluation.references import (
    SUBFOLDER,
    Annotation,
    Corpus,
    read_annotation,
    read_corpus,
)
from stt_pipeline.speech.evaluation.scores import Score, as_table, rates_of, speakers_of, totals
from stt_pipeline.speech.postprocess import WithPostprocessing
from stt_pipeline.speech.recordings import Outcome, Recording

if TYPE_CHECKING:
    import pandas as pd


def evaluate(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Recordings, with NAME.json, NAME.txt or NAME.rttm beside them or in reference/.",
        ),
    ],
    hypotheses: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Score the results in this folder instead of transcribing: NAME.json of `stt transcribe`, and NAME.rttm "
            "if it exists.",
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Speech model, such as small, large-v3, demo or a folder; else STT_MODEL.")
    ] = "",
    language: Annotated[
        str, typer.Option(help="Language code, such as ko; else STT_LANGUAGE, or it is detected.")
    ] = "",
    diarizer: DiarizerFlag = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with one JSON object of figures on stdout.")
    ] = False,
    option: OptionPairs = None,
) -> None:
    """Transcribe the recordings of FOLDER and score them against their references, the worst first.

    docs/evaluation.md explains the figures. Exit code 1 if a recording has no reference or no result.
    """
    asked = speech_options(option, model=model, language=language, diarizer=diarizer)
    corpus = read_corpus(folder)
    if not corpus.references:
        raise InvalidRequestError(
            f"No recording in {folder} has a reference: put NAME.json, NAME.txt or NAME.rttm beside it or in "
            f"{folder / SUBFOLDER}."
        )
    if hypotheses is not None and not hypotheses.is_dir():
        raise InvalidRequestError(f"{hypotheses} is not a folder: give one with results for --hypotheses.")
    scores = list(_transcribed(corpus, asked)) if hypotheses is None else _found(corpus, hypotheses)
    table = as_table(scores)
    whole = totals(scores)
    (err if as_json else out).print(_shown(table, whole))
    for row in table[table["error"] != ""].itertuples():
        # messages of the model do not contain the file name
        print_status(row.error if row.name in row.error else f"{row.name}: {row.error}", style="red")
    _print_missing(corpus)
    if as_json:
        typer.echo(json.dumps(_as_json(table, whole, corpus), ensure_ascii=False))
    if whole["failed"] or corpus.without_reference:
        raise typer.Exit(1)


def _found(corpus: Corpus, folder: Path) -> list[Score]:
    """Score the results in ``folder``."""
    scores = []
    for path, reference in corpus.references.items():
        result = read_annotation((folder,), path.stem, plain_text=False) or Annotation()
        is_missing = result == Annotation() or (reference.text is not None and result.text is None)
        error = f"there is no {path.stem}.json in {folder}; it counts as an empty transcript"
        scores.append(_score(path, reference, result, error=error if is_missing else ""))
    return scores


def _transcribed(corpus: Corpus, asked: BatchOptions) -> Iterator[Score]:
    """Transcribe and score all recordings; diarize those whose reference has speakers."""
    settings = Settings()
    transcriber = WithPostprocessing(transcriber_for(settings)(asked))
    finds_speakers = diarizer_for(settings)(asked)
    options = transcription_options(asked, language=settings.language)
    sounds = {
        path: SoundFile(path, max_hours=settings.max_audio_hours, audio_track=asked.audio_track)
        for path in corpus.references
    }
    recordings = (
        # the default binds this sound, and not the last one
        Recording(path, lambda sound=sound: nullcontext(sound), options)  # type: ignore[misc]
        for path, sound in sounds.items()
    )
    with TranscriptionBars(list(corpus.references)) as bars:
        outcomes = []
        for outcome in transcriber.transcribe(recordings, progress=bars.update):
            bars.finish(_path(outcome), getattr(outcome.result, "duration", None))
            outcomes.append(outcome)
    if any(reference.turns is not None for reference in corpus.references.values()):
        print_status(f"Finding the speakers ({finds_speakers.name}) ...")
    for outcome in outcomes:  # after all transcription, so that the real-time factor counts no parallel work
        path = _path(outcome)
        yield _scored(outcome, sounds[path], corpus.references[path], finds_speakers, asked)


def _scored(
    outcome: Outcome, sound: Sound, reference: Annotation, diarizer: Diarizer, asked: BatchOptions
) -> Score:
    path, began = _path(outcome), time.monotonic()
    transcript, turns, error = outcome.result, None, ""
    if isinstance(transcript, Exception):
        return _score(path, reference, Annotation(), error=_reason(transcript))
    if reference.turns is not None:
        try:
            turns = find_turns(transcript, sound, diarizer, speaker_count(asked))
        except Exception as problem:  # an error of one recording does not stop the others
            error = f"{_reason(problem).rstrip('.')}; it is scored without speakers."
    result = Annotation(transcript.text, turns, transcript.language, transcript.duration, transcript.quality)
    seconds = outcome.seconds + time.monotonic() - began
    return _score(path, reference, result, work_seconds=seconds, error=error)


def _reason(error: Exception) -> str:
    """Return the error message of a recording; raise an error that concerns all recordings."""
    if isinstance(error, ConfigurationError):
        raise error
    return str(error) if isinstance(error, FileError) else f"{type(error).__name__}: {error}"


def _path(outcome: Outcome) -> Path:
    assert isinstance(outcome.recording.key, Path)
    return outcome.recording.key


def _score(
    path: Path,
    reference: Annotation,
    result: Annotation,
    *,
    work_seconds: float | None = None,
    error: str = "",
) -> Score:
    return Score(
        display_name(path),
        rates_of(reference, result),
        speakers_of(reference, result),
        result.duration or reference.duration,
        work_seconds,
        result.language,
        result.quality,
        error,
    )


def _shown(table: "pd.DataFrame", whole: Mapping[str, Any]) -> Table:
    """Return a table with a row for each recording and the totals; at most 80 columns wide."""
    shown = Table(
        box=SIMPLE_HEAD,
        padding=0,
        show_edge=False,
        title="Against the references, the worst first",
        caption="In percent, except speakers and RTF. CER=: after numbers are written in one form. numbers: wrong numbers. "
        "DER+: with a collar of 0.25 s.",
    )
    shown.add_column("file", overflow="fold")
    for column in ("CER", "CER=", "WER", "numbers", "DER", "DER+", "speakers", "RTF"):
        shown.add_column(column, justify="right", no_wrap=True)
    for row in table.to_dict("records"):
        shown.add_row(
            row["name"],
            *(
                _percent(row[name])
                for name in ("cer", "cer_numbers_alike", "wer", "numbers", "der", "der_collar")
            ),
            _of(row["speakers_found"], row["speakers_expected"]),
            _ratio(row["rtf"]),
            style="red" if row["error"] else "",
        )
    shown.add_section()
    shown.add_row(
        f"total of {whole['files']}",
        *(
            _percent(whole[name])
            for name in ("cer", "cer_numbers_alike", "wer", "numbers", "der", "der_collar")
        ),
        _of(whole["speakers_correct"], whole["speakers_scored"] or None),
        _ratio(whole["rtf"]),
        style="bold",
    )
    return shown


def _plain(name: str, value: Any) -> Any:
    """Return a cell of the table for JSON: None for an unknown value, speakers as integers."""
    if isinstance(value, float) and math.isnan(value):
        return None
    return int(value) if name.startswith("speakers") else value


def _as_json(table: "pd.DataFrame", whole: Mapping[str, Any], corpus: Corpus) -> dict[str, Any]:
    files = [
        {str(name): _plain(str(name), value) for name, value in row.items()}
        for row in table.round(4).to_dict("records")
    ]
    return {
        **whole,
        "without_reference": [display_name(path) for path in corpus.without_reference],
        "without_recording": [display_name(path) for path in corpus.without_recording],
        "per_file": files,
    }


def _print_missing(corpus: Corpus) -> None:
    for path in corpus.without_reference:
        print_status(f"{display_name(path)}: no reference, not scored.", style="yellow")
    for path in corpus.without_recording:
        print_status(f"{display_name(path)}: this reference has no recording.", style="yellow")


def _percent(rate: float | None) -> str:
    return "-" if rate is None or math.isnan(rate) else f"{100 * rate:.1f}"


def _ratio(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def _of(found: float, expected: float | None) -> str:
    return "-" if expected is None or math.isnan(expected) else f"{found:.0f} of {expected:.0f}"
