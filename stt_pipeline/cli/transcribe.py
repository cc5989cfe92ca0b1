"""`stt transcribe`: files in, transcripts with speakers out, without Dagster or a database."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from stt_pipeline.audio.decode import decode
from stt_pipeline.audio.sound import SoundInMemory
from stt_pipeline.audio.uris import display_name
from stt_pipeline.cli.formats import FORMATS_HELP, made_folder, parsed_formats, write_formats
from stt_pipeline.cli.terminal import err, say
from stt_pipeline.errors import FileError, InvalidRequestError
from stt_pipeline.minutes.exports import EXPORT_FORMATS
from stt_pipeline.minutes.extractive import ExtractiveSummarizer
from stt_pipeline.settings import Settings
from stt_pipeline.speech.diarization import Diarizer, load_diarizer
from stt_pipeline.speech.models import load_model
from stt_pipeline.speech.speakers import assign_speakers
from stt_pipeline.speech.transcriber import Transcriber, WhisperTranscriber
from stt_pipeline.speech.transcript import SpeakerTurn, Transcript


def transcribe(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Audio or video files.")],
    output_dir: Annotated[Path, typer.Option(help="Folder for the results; made if missing.")] = Path(),
    formats: Annotated[
        str,
        typer.Option("--format", help=FORMATS_HELP),
    ] = "txt",
    model: Annotated[
        str, typer.Option(help="Speech model, such as small, large-v3, demo or a folder; else STT_MODEL.")
    ] = "",
    language: Annotated[
        str, typer.Option(help="Language code, such as ko; else STT_LANGUAGE, or it is detected.")
    ] = "",
) -> None:
    """Transcribe FILE... here and now, without Dagster or a database, and write NAME.FORMAT for each.

    Exit code 1 if a file failed (the others are written), 2 if nothing could be started.
    """
    settings = Settings()
    kinds = parsed_formats(formats)
    stems = _stems(files, output_dir)
    made_folder(output_dir)
    loaded = load_model(model or settings.model, settings.device, settings.compute_type, settings.cpu_threads)
    transcriber = WhisperTranscriber(loaded)
    diarizer = load_diarizer(settings.diarizer)
    summarizer = ExtractiveSummarizer()
    with_minutes = any(EXPORT_FORMATS[kind].has_minutes for kind in kinds)
    failed = 0
    notes = set[str]()
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=len(stems))
        for file, stem in stems.items():
            name = display_name(file)
            bar.update(task, description=name)
            try:
                transcript, turns = _transcribe_one(
                    file, transcriber, diarizer, language or settings.language
                )
            except FileError as error:
                failed += 1
                # what the model says does not name the file
                say(str(error) if name in str(error) else f"{name}: {error}", style="red")
            else:
                minutes = summarizer.summarize(transcript) if with_minutes else None
                written = write_formats(
                    stem, kinds, name=name, transcript=transcript, minutes=minutes, turns=turns
                )
                notes.update(transcript.notes)
                say(f"{_described(name, transcript)} -> {', '.join(str(path) for path in written)}")
            bar.advance(task)
    for note in sorted(notes):
        say(note, style="yellow")
    if failed:
        raise typer.Exit(1)


def _stems(files: list[Path], output_dir: Path) -> dict[Path, Path]:
    """Return where each file's results go: its name without ending, or with it where two names would collide.

    Raises:
        InvalidRequestError: a file is not there, or two have the same name.
    """
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise InvalidRequestError(f"Not a file: {', '.join(missing)}. Nothing was transcribed.")
    unique = list(dict.fromkeys(files))
    stems = [file.stem for file in unique]
    names = [file.name if stems.count(file.stem) > 1 else file.stem for file in unique]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidRequestError(
            f"Two files are called {', '.join(twice)}: give them different output folders, one call each."
        )
    return {file: output_dir / name for file, name in zip(unique, names, strict=True)}


def _described(name: str, transcript: Transcript) -> str:
    length = f"{name}: {transcript.duration:.0f} s"
    if not transcript.segments:
        return f"{length}, no speech"
    speakers = len(transcript.speakers)
    return f"{length}, {transcript.language}, {speakers} speaker{'s' * (speakers != 1)}"


def _transcribe_one(
    file: Path, transcriber: Transcriber, diarizer: Diarizer, language: str
) -> tuple[Transcript, tuple[SpeakerTurn, ...]]:
    samples = decode(file)
    transcript = transcriber.transcribe(samples, language=language or None)
    turns = diarizer.diarize(SoundInMemory(samples))
    return assign_speakers(transcript, turns), turns
