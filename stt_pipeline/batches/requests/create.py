"""Making a batch: everything a person can get wrong is refused here, with what to do about it."""

from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from pydantic import ValidationError

from stt_pipeline.audio.address import display_name
from stt_pipeline.audio.allowed import ALLOW_ALL, AllowedSources
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.notify.recipients import Recipient
from stt_pipeline.store.access import audit
from stt_pipeline.store.access.audit import NOBODY, Actor
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches
from stt_pipeline.store.queue.batches import Batch, Priority

_NAME_LENGTH = 200
_MOST_EMAILS = 50
_WRONG = {"extra_forbidden": "there is no such option"}  # where pydantic's words are not ours


def create_batch(
    database: Database,
    *,
    source_path: str,
    file_pattern: str = "",
    name: str = "",
    priority: str = "normal",
    notify_emails: Sequence[str] = (),
    options: BatchOptions | Mapping[str, Any] | None = None,
    allowed: AllowedSources = ALLOW_ALL,
    actor: Actor = NOBODY,
) -> Batch:
    """Write a batch that the dispatcher will pick up, and return it.

    Args:
        source_path: a folder, or ``file:///folder/``.
        file_pattern: globs separated by commas; empty takes every known audio and video ending, at any depth.
        notify_emails: who gets the minutes and the batch's report.
        allowed: where the source may be.
        by: who asks for it, for the audit log and as ``created_by``.

    Raises:
        InvalidRequestError: the source, the pattern, an address or an option cannot be used; nothing was written.
    """
    rank = checked_priority(priority)
    source = allowed.open(source_path, file_pattern)
    emails = checked_emails(notify_emails)
    checked = checked_options(options)
    title = checked_name(" ".join(name.split()) or display_name(source.uri.rstrip("/")) or source.uri)
    with database.begin() as connection:
        batch = batches.create(
            connection,
            name=title,
            source_path=source.uri,
            file_pattern=file_pattern,
            priority=rank,
            notify_emails=emails,
            options=checked.model_dump(exclude_defaults=True),
            created_by=actor.name,
        )
        asked = {
            "name": title,
            "source_path": source.uri,
            "file_pattern": file_pattern,
            "priority": rank,
            "notify_emails": emails,
            "options": batch.options,
        }
        audit.record(connection, actor, "batch.create", batch_id=batch.id, details=asked)
        return batch


def checked_priority(text: str) -> Priority:
    """Return a priority.

    Raises:
        InvalidRequestError: there is no such priority.
    """
    if text not in get_args(Priority):
        raise InvalidRequestError(f"priority is high, normal or low, not {text!r}.")
    return cast(Priority, text)


def checked_name(text: str, *, longest: int = _NAME_LENGTH) -> str:
    """Return the name of a batch or a watch, with single spaces.

    Raises:
        InvalidRequestError: it is empty, too long, or would not show as written.
    """
    title = " ".join(text.split())
    if not title or len(title) > longest or not title.isprintable():
        raise InvalidRequestError(f"The name must be 1 to {longest} printable characters.")
    return title


def checked_emails(addresses: Sequence[str]) -> tuple[str, ...]:
    """Return email addresses in their normal form, each once.

    Raises:
        InvalidRequestError: one of them is none, or they are too many.
    """
    emails = tuple(dict.fromkeys(str(Recipient.parse(email)) for email in addresses))
    if len(emails) > _MOST_EMAILS:
        raise InvalidRequestError(
            f"A batch mails to at most {_MOST_EMAILS} addresses, not {len(emails)}: use a mailing list."
        )
    return emails


def checked_options(options: BatchOptions | Mapping[str, Any] | None) -> BatchOptions:
    """Return the options of a batch.

    Raises:
        InvalidRequestError: there is no such option, or its value cannot be used.
    """
    if isinstance(options, BatchOptions):
        return options
    try:
        return BatchOptions.model_validate(dict(options or {}))
    except ValidationError as error:
        known = ", ".join(BatchOptions.model_fields)
        raise InvalidRequestError(
            f"The batch's options cannot be used: {what_is_wrong(error)}. The options are {known}."
        ) from error


def what_is_wrong(error: ValidationError) -> str:
    """Return what pydantic says of options, as a part of a sentence."""
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) or 'options'}: {_WRONG.get(e['type'], e['msg'].removeprefix('Value error, '))}"
        for e in error.errors()
    )
