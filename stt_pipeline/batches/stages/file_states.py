"""What each step does with a file, by the file's status and the results that it has: one table.

The steps read it through :func:`is_to_process`.
"""

from enum import Enum
from typing import Literal

from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.store.manifest.files import AudioFile, FileStatus
from stt_pipeline.store.results.transcriptions import TranscriptionStatus

Step = Literal["probe", "transcribe", "diarize", "summarize", "notify"]

Results = Literal["none", "probe", "transcript", "speakers", "minutes"]
"""The last result that a file has. A step needs to know only those up to its own; later ones are the same to it."""


class Action(Enum):
    """What a step does with a file."""

    PROCESS = "process it"
    DONE = "count it: it has passed this step"
    FAILED = "report its error: it failed in this step"
    WAIT = "report that an earlier step is missing"
    SKIP = "leave it out: it failed in another step, which reports it"


_PROCESS, _DONE, _FAILED, _WAIT, _SKIP = Action

STEPS: tuple[Step, ...] = ("probe", "transcribe", "diarize", "summarize", "notify")

TABLE: dict[tuple[FileStatus, Results], tuple[Action, ...]] = {
    #                             probe     transcribe  diarize   summarize  notify
    ("pending", "none"):         (_PROCESS, _WAIT,      _WAIT,    _WAIT,     _WAIT),
    ("pending", "probe"):        (_DONE,    _PROCESS,   _WAIT,    _WAIT,     _WAIT),
    ("pending", "transcript"):   (_DONE,    _DONE,      _PROCESS, _WAIT,     _WAIT),
    ("pending", "speakers"):     (_DONE,    _DONE,      _PROCESS, _WAIT,     _WAIT),
    ("pending", "minutes"):      (_DONE,    _DONE,      _PROCESS, _WAIT,     _WAIT),
    ("transcribed", "none"):     (_PROCESS, _WAIT,      _DONE,    _WAIT,     _WAIT),
    ("transcribed", "probe"):    (_DONE,    _PROCESS,   _DONE,    _WAIT,     _WAIT),
    ("transcribed", "transcript"): (_DONE,  _DONE,      _DONE,    _PROCESS,  _WAIT),
    ("transcribed", "speakers"): (_DONE,    _DONE,      _DONE,    _PROCESS,  _WAIT),
    ("transcribed", "minutes"):  (_DONE,    _DONE,      _DONE,    _PROCESS,  _PROCESS),
    ("success", "none"):         (_PROCESS, _WAIT,      _DONE,    _DONE,     _DONE),
    ("success", "probe"):        (_DONE,    _PROCESS,   _DONE,    _DONE,     _DONE),
    ("success", "transcript"):   (_DONE,    _DONE,      _DONE,    _DONE,     _DONE),
    ("success", "speakers"):     (_DONE,    _DONE,      _DONE,    _DONE,     _DONE),
    ("success", "minutes"):      (_DONE,    _DONE,      _DONE,    _DONE,     _DONE),
    ("failed", "none"):          (_FAILED,  _SKIP,      _SKIP,    _SKIP,     _SKIP),
    ("failed", "probe"):         (_DONE,    _FAILED,    _SKIP,    _SKIP,     _SKIP),
    ("failed", "transcript"):    (_DONE,    _DONE,      _FAILED,  _SKIP,     _SKIP),
    ("failed", "speakers"):      (_DONE,    _DONE,      _DONE,    _FAILED,   _SKIP),
    ("failed", "minutes"):       (_DONE,    _DONE,      _DONE,    _SKIP,     _FAILED),
}  # fmt: skip
"""A file stays ``pending`` until it has speakers, and ``transcribed`` until its minutes are mailed. A ``transcribed`` file
that has minutes is summarized again unless they are newer than its transcript; see ``publish``."""

_NOT_PROBED = "It was not probed yet: materialize audio_files first."
_NO_TRANSCRIPT = "It has no transcript yet: transcribe first."
_NO_MINUTES = "It has no minutes yet: materialize meeting_minutes first."


def results_of(
    file: AudioFile, transcript: TranscriptionStatus | None = None, *, has_minutes: bool = False
) -> Results:
    """Return the last result that a file has; an outdated transcript counts as none."""
    if has_minutes:
        return "minutes"
    if transcript == "completed":
        return "speakers"
    if transcript == "transcribed":
        return "transcript"
    return "none" if file.duration is None else "probe"


def is_to_process(step: Step, shard: ClaimedShard, file: AudioFile, results: Results) -> bool:
    """Return whether a step is to process a file; otherwise count or report the file on its shard."""
    match action_of(step, file.status, results):
        case Action.PROCESS:
            return True
        case Action.DONE if step == "notify" and file.error:  # its minutes were not delivered
            shard.report(file, file.error)
        case Action.DONE:
            shard.count(file)
        case Action.FAILED:
            shard.report(file, file.error or "")
        case Action.WAIT:
            shard.report(file, _missing(step, file.status))
        case Action.SKIP:
            shard.leave_out(file)
    return False


def action_of(step: Step, status: FileStatus, results: Results) -> Action:
    """Return the entry of the table."""
    return TABLE[status, results][STEPS.index(step)]


def _missing(step: Step, status: FileStatus) -> str:
    if step == "transcribe":
        return _NOT_PROBED
    return _NO_MINUTES if step == "notify" and status == "transcribed" else _NO_TRANSCRIPT
