"""`stt transcribe`: transcribes files with speakers, without Dagster or a database."""

import time
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from stt_pipeline.audio.address import display_name
from stt_pipeline.audio.playable import mp3
from stt_pipeline.audio.sound import Sound, SoundFile
from stt_pipeline.batches.requests.backend_choice import diarizer_for, summarizer_for, transcriber_for
from stt_pipeline.batches.requests.options import (
    BatchOptions,
    document_options,
    speaker_count,
    transcription_options,
)
from stt_pipeline.cli.formats import FORMATS_HELP, fitting_name, made_folder, parsed_formats, write_formats
from stt_pipeline.cli.speech_options import DiarizerFlag, OptionPairs, speech_options
from stt_pipeline.cli.subtitle_flags import (
    MaxCueSeconds,
    MaxLineCount,
    MaxLineWidth,
    ReviewNotes,
    SpeakerLabels,
    subtitle_options,
)
from stt_pipeline.cli.terminal import print_status
from stt_pipeline.cli.transcription_bars import TranscriptionBars
from stt_pipeline.durations import format_duration
from stt_pipeline.errors import ConfigurationError, FileError, InvalidRequestError, SttError
from stt_pipeline.minutes.exports import ExportContent, export_format
from stt_pipeline.minutes.subtitles.options import SUBTITLES, SubtitleOptions
from stt_pipeline.minutes.summarizer import Summarizer
from stt_pipeline.settings import Settings
from stt_pipeline.speech.alignment import align
from stt_pipeline.speech.channel_speakers import find_turns
from stt_pipeline.speech.diarization import Diarizer
from stt_pipeline.speech.postprocess import WithPostprocessing
from stt_pipeline.speech.quality import Figures
from stt_pipeline.speech.recordings import Recording
from stt_pipeline.speech.speakers import assign_speakers
from stt_pipeline.speech.transcript import SpeakerTurn, Transcript
from stt_pipeline.speech.whisperx_extra import is_installed, missing_extra

if TYPE_CHECKING:
    from upath import UPath


def transcribe(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Audio or video files.")],
    output_dir: Annotated[Path, typer.Option(help="Folder for the results, created if missing.")] = Path(),
    formats: Annotated[
        str,
        typer.Option("--format", help=FORMATS_HELP),
    ] = "txt",
    open_page: Annotated[
        bool,
        typer.Option("--open", help="Also write html, a page with a player, and open it in the browser."),
    ] = False,
    model: Annotated[
        str, typer.Option(help="Speech model, such as small, large-v3, demo or a folder; else STT_MODEL.")
    ] = "",
    language: Annotated[
        str, typer.Option(help="Language code, such as ko; else STT_LANGUAGE, or it is detected.")
    ] = "",
    languages: Annotated[
        str, typer.Option(help="Codes that detection may choose from, separated by commas, such as ko,en.")
    ] = "",
    multilingual: Annotated[
        bool, typer.Option("--multilingual", help="Detect the language of each region of speech.")
    ] = False,
    audio_track: Annotated[
        str,
        typer.Option(
            help="Audio track of files with several: auto (the default one, or the one with sound), all (mixed), or a number from 1."
        ),
    ] = "",
    hotwords: Annotated[
        str, typer.Option(help="Names and terms that are likely to occur, separated by commas.")
    ] = "",
    diarizer: DiarizerFlag = None,
    model_batch_size: Annotated[
        int,
        typer.Option(
            min=0, help="Speech chunks decoded together; 0: STT_MODEL_BATCH_SIZE, or as many as memory holds."
        ),
    ] = 0,
    option: OptionPairs = None,
    max_line_width: MaxLineWidth = None,
    max_line_count: MaxLineCount = SUBTITLES.max_line_count,
    max_cue_seconds: MaxCueSeconds = SUBTITLES.max_cue_seconds,
    speaker_labels: SpeakerLabels = SUBTITLES.speaker_labels,
    review_notes: ReviewNotes = SUBTITLES.review_notes,
) -> None:
    """Transcribe FILE... without Dagster or a database, and write NAME.FORMAT for each.

    The model decodes all files together, so they finish in any order. Exit code 1 if a file fails (the others are
    written) or its diarization fails (its text is written), 2 if nothing can be started.
    """
    settings = Settings()
    if model_batch_size:
        settings = settings.model_copy(update={"model_batch_size": model_batch_size})
    kinds = parsed_formats(f"{formats},html" if open_page else formats)
    stems = _stems(files, output_dir)
    subtitles = subtitle_options(
        max_line_width, max_line_count, max_cue_seconds, speaker_labels, review_notes
    )
    asked = speech_options(
        option,
        model=model,
        language=language,
        languages=[code.strip() for code in languages.split(",") if code.strip()],
        multilingual=multilingual,
        audio_track=audio_track,
        hotwords=hotwords,
        diarizer=diarizer,
    )
    if asked.align and not is_installed():  # now, and not after the first file is transcribed
        raise ConfigurationError(missing_extra("alignment of words (--option align)"))
    made_folder(output_dir)
    transcriber = WithPostprocessing(transcriber_for(settings)(asked))
    diarize = diarizer_for(settings)(asked)
    summarizer = summarizer_for(settings)(asked)
    options = transcription_options(asked, language=settings.language)
    sounds = {
        file: SoundFile(file, max_hours=settings.max_audio_hours, audio_track=asked.audio_track)
        for file in stems
    }
    recordings = (
        # the default binds this sound, and not the last one
        Recording(file, lambda sound=sound: nullcontext(sound), options)  # type: ignore[misc]
        for file, sound in sounds.items()
    )
    done, failed, without_speakers = list[Transcript](), 0, 0
    started = time.monotonic()
    bars = TranscriptionBars(list(stems))
    with bars, closing(transcriber.transcribe(recordings, progress=bars.update)) as outcomes:
        for outcome in outcomes:
            file = cast(Path, outcome.recording.key)
            name = display_name(file)
            try:
                if isinstance(outcome.result, Exception):
                    raise outcome.result
                transcript, turns = _with_speakers(
                    name, sounds[file], outcome.result, diarize, asked, settings.device
                )
                without_speakers += turns is None
                written = _write(stems[file], kinds, file, transcript, turns, summarizer, asked, subtitles)
            except Exception as error:
                _raise_unless_of_a_file(error)
                failed += 1
                print_status(_error_message(name, error), style="red")
            else:
                print_status(f"{_described(name, transcript)} -> {', '.join(str(path) for path in written)}")
                if open_page:
                    _open_in_browser(written)
                if quality_notes := Figures.of(transcript).quality_notes:
                    print_status(f"{name}: review it: {', '.join(quality_notes)}.", style="yellow")
                done.append(replace(transcript, segments=()))
            bars.finish(file, getattr(outcome.result, "duration", None))
    for note in sorted({note for transcript in done for note in transcript.notes}):
        print_status(note, style="yellow")
    if len(stems) > 1:
        print_status(_summary(done, failed, time.monotonic() - started))
    if failed or without_speakers:
        raise typer.Exit(1)


def _with_speakers(
    name: str, sound: Sound, transcript: Transcript, diarizer: Diarizer, asked: BatchOptions, device: str
) -> tuple[Transcript, tuple[SpeakerTurn, ...] | None]:
    """Return the transcript with speakers, and the speaker turns; print the error and return None if diarization fails."""
    try:
        turns = find_turns(transcript, sound, diarizer, speaker_count(asked))
        aligned = align(transcript, sound, device) if asked.align else transcript
    except Exception as error:
        _raise_unless_of_a_file(error)
        reason = _error_message(name, error).rstrip(".")
        print_status(f"{reason}; its text is written without speakers.", style="red")
        return transcript, None
    return assign_speakers(aligned, turns), turns


def _write(
    stem: Path,
    kinds: Sequence[str],
    file: Path,
    transcript: Transcript,
    turns: Sequence[SpeakerTurn] | None,
    summarizer: Summarizer,
    asked: BatchOptions,
    subtitles: SubtitleOptions,
) -> "list[UPath | Path]":
    if turns is None:
        kinds = [kind for kind in kinds if not export_format(kind).needs_turns]
    with_minutes = any(export_format(kind).has_minutes for kind in kinds)
    minutes = summarizer.summarize(transcript) if with_minutes else None
    content = ExportContent(
        display_name(file),
        transcript,
        minutes,
        turns or (),
        document_options(asked),
        partial(mp3, SoundFile(file, audio_track=asked.audio_track)),
        subtitles,
    )
    return write_formats(stem, kinds, content)


def _open_in_browser(written: "Sequence[UPath | Path]") -> None:
    """Open the page among the written files; a machine without a browser has its path on the terminal."""
    page = next(path for path in written if path.suffix == ".html")
    typer.launch(str(page))


def _raise_unless_of_a_file(error: Exception) -> None:
    """Raise an error that is not about one file, since it would also stop the other files."""
    if isinstance(error, SttError) and not isinstance(error, FileError):
        raise error


def _error_message(name: str, error: Exception) -> str:
    if not isinstance(error, FileError):
        return f"{name}: {type(error).__name__}: {error}"
    # messages of the model do not contain the file name
    return str(error) if name in str(error) else f"{name}: {error}"


def _stems(files: list[Path], output_dir: Path) -> dict[Path, Path]:
    """Return the output path of each file without format extension; it keeps the audio extension if two would collide.

    Raises:
        InvalidRequestError: a file does not exist, or two files have the same name.
    """
    missing = [str(file) for file in files if not _is_file(file)]
    if missing:
        raise InvalidRequestError(f"Not a file: {', '.join(missing)}. Nothing was transcribed.")
    unique = list(dict.fromkeys(files))
    stems = [file.stem for file in unique]
    names = [fitting_name(file.name if stems.count(file.stem) > 1 else file.stem) for file in unique]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidRequestError(
            f"Two files have the name {', '.join(twice)}: transcribe them in two calls with different output folders."
        )
    return {file: output_dir / name for file, name in zip(unique, names, strict=True)}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the name is too long for the filesystem
        return False


def _described(name: str, transcript: Transcript) -> str:
    length = f"{name}: {transcript.duration:.0f} s"
    if not transcript.segments:
        return f"{length}, no speech"
    speakers = len(transcript.speakers)
    return f"{length}, {transcript.language}, {speakers} speaker{'s' * (speakers != 1)}"


def _summary(done: Sequence[Transcript], failed: int, seconds: float) -> str:
    """Return the totals in one line, with the real-time factor also as a speed."""
    audio = sum(transcript.duration for transcript in done)
    files = f"{len(done)} of {len(done) + failed} files" if failed else f"All {len(done)} files"
    line = f"{files} transcribed: {format_duration(audio)} of audio in {format_duration(seconds)}"
    if not audio:
        return f"{line}."
    return f"{line}, {audio / seconds:.1f} times real time (real-time factor {seconds / audio:.3f})."
