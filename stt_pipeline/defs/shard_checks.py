"""What a check of a shard asset is: a function of a finished shard that returns whether it passed, and why.

Each asset has one that passes if every file passed the step. ``shard_events`` logs the evaluations.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from stt_pipeline.batches.execution.claimed_shard import ClaimedShard

SHOWN_FAILURES = 20


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What a check found in a shard.

    Attributes:
        severity: also counts if the check passed: the graph shows that of the newest evaluation for all partitions that
            failed, whatever partition it is of. So a check that only warns has the same one for each shard.
    """

    passed: bool
    description: str
    metadata: Mapping[str, Any]
    severity: dg.AssetCheckSeverity


ShardCheck = Callable[[ClaimedShard], CheckOutcome]


def every_file_passed(shard: ClaimedShard) -> CheckOutcome:
    """Check that no file failed. A shard without a result does not pass, also if it failed in another step."""
    failures = shard.failures or ([] if shard.done else shard.failed_elsewhere)
    is_waiting = bool(failures) and not any(failure.final for failure in failures)
    named = "; ".join(f"{failure.name}: {failure.error}" for failure in failures[:SHOWN_FAILURES])
    return CheckOutcome(
        not failures,
        named or f"{shard.done} of {shard.shard.total} files passed.",
        {"files": shard.shard.total, "files failed": len(failures)},
        dg.AssetCheckSeverity.WARN if is_waiting else dg.AssetCheckSeverity.ERROR,
    )


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table of the first rows, and the number of the others."""
    more = len(rows) - SHOWN_FAILURES
    return "\n".join(
        [
            f"| {' | '.join(columns)} |",
            f"|{'---|' * len(columns)}",
            *(f"| {' | '.join(map(_cell, row))} |" for row in rows[:SHOWN_FAILURES]),
            *([f"and {more} more"] if more > 0 else []),
        ]
    )


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
