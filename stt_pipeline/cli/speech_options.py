"""``--option`` and the speech flags of `stt transcribe` and `stt evaluate`, validated as the options of a batch."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from stt_pipeline.backends import DIARIZERS, DiarizerName
from stt_pipeline.batches.requests.options import MAIL_OPTIONS, BatchOptions
from stt_pipeline.batches.requests.validation import explanation
from stt_pipeline.cli.batch.arguments import parsed_options
from stt_pipeline.errors import InvalidRequestError

OptionPairs = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        help="NAME=VALUE as in `stt batch create`, such as max_speakers=4; repeatable. "
        f"Names: {', '.join(name for name in BatchOptions.model_fields if name not in MAIL_OPTIONS)}.",
    ),
]


DiarizerFlag = Annotated[
    DiarizerName | None, typer.Option("--diarizer", help=f"Default: STT_DIARIZER. {DIARIZERS.help()}.")
]


def speech_options(pairs: Sequence[str] | None, **flags: Any) -> BatchOptions:
    """Return the options of ``--option`` and of those flags that are not empty.

    Args:
        pairs: NAME=VALUE each.
        flags: values by the name of their option.

    Raises:
        InvalidRequestError: a value is invalid, or an option is given twice.
    """
    options = parsed_options(pairs or ())
    for name, value in flags.items():
        if value and name in options:
            raise InvalidRequestError(f"--option {name} and --{name} set the same option: leave out one.")
        if value:
            options[name] = value
    for name in MAIL_OPTIONS:
        if name in options:
            raise InvalidRequestError(f"--option {name} is for batches: this command sends no mail.")
    try:
        return BatchOptions.model_validate(options)
    except ValidationError as error:
        raise InvalidRequestError(f"Invalid --option: {explanation(error)}.") from error
