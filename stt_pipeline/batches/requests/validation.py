"""Turns values from users into a request, and pydantic's errors into one sentence that says what to do."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.errors import InvalidRequestError

_Model = TypeVar("_Model", bound=BaseModel)


def validated(model: type[_Model], values: Mapping[str, Any]) -> _Model:
    """Return ``values`` as ``model``.

    Raises:
        InvalidRequestError: a value is invalid, or a field is unknown; the message names each of them.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise InvalidRequestError(f"{_subject(model)}: {explanation(error)}.") from error


def explanation(error: ValidationError) -> str:
    """Return pydantic's errors as a part of a sentence, each with the name of its field."""
    return "; ".join(
        f"{field}: {message(one)}" if (field := _field(one)) else message(one) for one in error.errors()
    )


def message(error: ErrorDetails) -> str:
    """Return one error of pydantic in our words."""
    if error["type"] == "extra_forbidden":
        return f"there is no such option (the options are {', '.join(BatchOptions.model_fields)})"
    if error["type"] == "string_too_short":
        return "it is empty"
    return error["msg"].removeprefix("Value error, ")


def _field(error: ErrorDetails) -> str:
    return ".".join(map(str, error["loc"]))


def _subject(model: type[BaseModel]) -> str:
    return "Invalid options" if model is BatchOptions else "Invalid request"
