"""The checks of ``transcripts`` that warn of transcripts to compare with their recordings: quality, missing text, language.

They look at all transcripts of a shard, also at those that an earlier run made.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import dagster as dg

from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.queries.review import (
    Doubt,
    ToReview,
    in_other_languages,
    low_quality,
    transcripts_of_shard,
    untranscribed,
)
from stt_pipeline.batches.requests.options import expected_languages
from stt_pipeline.defs.shard_checks import SHOWN_FAILURES, CheckOutcome, ShardCheck, table
from stt_pipeline.store.database import Database

TRANSCRIPT_CHECKS = {
    "quality": "No transcript has low confidence or segments that may be hallucinated. It only warns.",
    "untranscribed_speech": "No transcript leaves out much of the speech that voice activity detection found. It only warns.",
    "expected_language": "Every recording is in a language that its batch expects: the option language or languages, "
    "else STT_LANGUAGE. Languages are detected also where one is given. It only warns.",
}
"""Name and description of each check."""

_NOT_DETECTED = "too little speech, a model of one language, or a transcript of an older version"


def transcript_checks(database: Database, language: str) -> Mapping[str, ShardCheck]:
    """Return what evaluates each of :data:`TRANSCRIPT_CHECKS`.

    Args:
        language: expected in batches without an option about it; empty for none.
    """

    @lru_cache(maxsize=1)  # the checks of a shard are evaluated one after the other, by one thread
    def transcripts(shard: ClaimedShard) -> Sequence[ToReview]:
        return transcripts_of_shard(database, shard.shard.id, shard.batch.source_path)

    def check(find: Callable[[ClaimedShard, Sequence[ToReview]], CheckOutcome]) -> ShardCheck:
        return lambda shard: find(shard, transcripts(shard))

    return {
        "quality": check(lambda shard, found: _outcome(found, low_quality(found))),
        "untranscribed_speech": check(lambda shard, found: _untranscribed_speech(found)),
        "expected_language": check(lambda shard, found: _expected_language(shard, found, language)),
    }


def _untranscribed_speech(found: Sequence[ToReview]) -> CheckOutcome:
    figures = [one.transcript.figures for one in found]
    return _outcome(
        found,
        untranscribed(found),
        figures={
            "speech seconds": round(sum(its.speech_seconds for its in figures), 1),
            "untranscribed speech seconds": round(
                sum(its.untranscribed_speech_seconds for its in figures), 1
            ),
        },
    )


def _expected_language(shard: ClaimedShard, found: Sequence[ToReview], language: str) -> CheckOutcome:
    expected = expected_languages(shard.options, language=language)
    if not expected:
        return _outcome(
            found, [], note="No language is expected: neither the batch nor STT_LANGUAGE names one."
        )
    unknown = sum(
        bool(one.transcript.figures.speech_seconds) and not one.transcript.figures.detected_language
        for one in found
    )
    note = f"In {unknown} of them no language was detected: {_NOT_DETECTED}." if unknown else ""
    return _outcome(
        found,
        in_other_languages(found, expected),
        note=note,
        figures={"transcripts without a detected language": unknown},
    )


def _outcome(
    found: Sequence[ToReview],
    doubts: Sequence[Doubt],
    *,
    note: str = "",
    figures: Mapping[str, float] = MappingProxyType({}),
) -> CheckOutcome:
    """Return a warning that names the doubtful transcripts, or that the others passed.

    A shard without a transcript passes, because another check of the asset fails for it.
    """
    named = [f"{doubt.path}: {doubt.reason}" for doubt in doubts[:SHOWN_FAILURES]]
    if len(doubts) > SHOWN_FAILURES:
        named.append(f"and {len(doubts) - SHOWN_FAILURES} more")
    passed = f"{len(found)} of {len(found)} transcripts passed." if found else "There is no transcript."
    shown: dict[str, Any] = {"transcripts": len(found), "transcripts to review": len(doubts), **figures}
    if doubts:
        rows = [(doubt.path, doubt.reason) for doubt in doubts]
        shown["review"] = dg.MetadataValue.md(table(("file", "reason"), rows))
    return CheckOutcome(
        not doubts, "; ".join(named) or f"{passed} {note}".strip(), shown, dg.AssetCheckSeverity.WARN
    )
