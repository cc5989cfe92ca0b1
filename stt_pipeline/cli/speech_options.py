"""How recordings are to be heard, as the command lines that transcribe here and now take it: their flags and ``--option``."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from stt_pipeline.batches.requests.create import what_is_wrong
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.cli.batch.arguments import parsed_options
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.settings import Settings
from stt_pipeline.speech.diarization import Diarizer, load_diarizer
from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.models import load_model
from stt_pipeline.speech.postprocess import WithPostprocessing
from stt_pipeline.speech.transcriber import Transcriber

Wishes = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        help="NAME=VALUE as of `stt batch create`, such as max_speakers=4; repeatable. "
        "Names: attendees, terms, remove_fillers, align, min_speakers, max_speakers and those of the flags.",
    ),
]


def wishes(pairs: Sequence[str] | None, **flags: Any) -> BatchOptions:
    """Return what ``--option`` and the flags that are given ask for, held to the same rules as a batch's options.

    Raises:
        InvalidRequestError: one of them cannot be meant, or is asked for twice.
    """
    options = parsed_options(pairs or ())
    for name, value in flags.items():
        if value and name in options:
            raise InvalidRequestError(f"--option {name} and --{name} ask for the same thing: leave out one.")
        if value:
            options[name] = value
    if "mail_minutes" in options:
        raise InvalidRequestError("--option mail_minutes is for batches: nothing is mailed from here.")
    try:
        return BatchOptions.model_validate(options)
    except ValidationError as error:
        raise InvalidRequestError(f"Invalid --option: {what_is_wrong(error)}.") from error


def speech_tools(
    asked: BatchOptions, settings: Settings, *, batch_size: int = 0
) -> tuple[Transcriber, Diarizer]:
    """Return what transcribes and what finds the speakers: as asked for, else as the settings say.

    Raises:
        ConfigurationError: one of them cannot be had.
    """
    diarizer = load_diarizer(
        asked.diarizer or settings.diarizer,
        pyannote_pipeline=settings.pyannote_pipeline,
        device=settings.device,
    )
    loaded = load_model(
        asked.model or settings.model, settings.device, settings.compute_type, settings.cpu_threads
    )
    engine = Engine(loaded, batch_size=batch_size or settings.model_batch_size)
    return WithPostprocessing(engine), diarizer
