"""The mail about failed Dagster runs, to those who operate the product. Text and layout are in ``templates/``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from stt_pipeline.mail.mail import Mail
from stt_pipeline.mail.messages import render_mail


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run that failed as a whole.

    Attributes:
        job: name of its job.
        batch: the number of its batch; empty for a run without one, or over several.
        reason: the error, in one or more lines.
        ended_at: with a time zone, in which it is shown.
        url: its page in the Dagster UI; empty if that is not known.
    """

    run_id: str
    job: str
    batch: str
    reason: str
    ended_at: datetime
    url: str


def run_failure_mail(runs: Sequence[FailedRun], recipient: str, *, total: int) -> Mail:
    """Return the mail about failed runs.

    Args:
        runs: at least one, oldest first.
        total: number of failed runs, of which ``runs`` are the first.

    Raises:
        InvalidRequestError: the recipient is not an email address.
    """
    jobs = ", ".join(dict.fromkeys(run.job for run in runs))
    return render_mail(
        "run_failures",
        recipient,
        " ".join(run.run_id for run in runs),
        f"[stt_pipeline] {total:,} {'run' if total == 1 else 'runs'} failed: {jobs}",
        language="en",
        runs=runs,
        total=total,
        more=total - len(runs),
    )
