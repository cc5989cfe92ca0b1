"""Decides about each segment of the model: keep it, decode it again, drop it, or keep it with its reasons.

Reasons make a segment suspicious, and fallback attempts may give better text. What stays suspicious is dropped if the
audio has no speech. Otherwise it is kept with its reasons, because a repeated announcement looks like a loop too.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import groupby

from stt_pipeline.speech.hallucination.audio_evidence import AudioEvidence, SpeechStats
from stt_pipeline.speech.hallucination.deletions import recover_deletions
from stt_pipeline.speech.hallucination.phrases import is_video_phrase
from stt_pipeline.speech.hallucination.reasons import (
    Finding,
    Reason,
    find_reasons,
    is_impossible,
    repeated_texts,
)
from stt_pipeline.speech.hallucination.repetition import letters
from stt_pipeline.speech.hallucination.retries import Decode, fallback_attempts
from stt_pipeline.speech.hallucination.uncovered_speech import untranscribed_speech
from stt_pipeline.speech.transcript import Segment, shifted
from stt_pipeline.speech.voice_activity import LONG_PAUSE

_MIN_COVERAGE = 0.7
"""Share of the speech that must have text for an attempt to end the search: the rest are pauses and breaths."""

_MIN_SIMILARITY = 0.6
"""In jamo: a text without hotwords that is this similar confirms one with them. Misspelled names are more similar."""

_MIN_VIDEO_PHRASES = 3
"""A phrase of videos that comes this often in one file is suspicious in itself."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A segment that is kept so far, with the speech statistics of its time, for :func:`finalize`."""

    segment: Segment
    stats: SpeechStats


@dataclass(frozen=True, slots=True)
class _Alternative:
    """One text of a time span, with its seconds of speech, and of speech without text."""

    found: tuple[Finding, ...]
    speech_seconds: float
    untranscribed_seconds: float

    @property
    def reasons(self) -> frozenset[Reason]:
        return frozenset(reason for one in self.found if one.suspicious for reason in one.reasons)

    @property
    def text(self) -> str:
        return letters("".join(one.segment.text for one in self.found))

    @property
    def is_good(self) -> bool:
        covered = self.speech_seconds - self.untranscribed_seconds
        return bool(self.found) and not self.reasons and covered >= _MIN_COVERAGE * self.speech_seconds

    @property
    def rank(self) -> tuple[bool, int, float, float]:
        """Lower is better. No text is worst: the audio decides whether there is speech, not the model."""
        log_probability = sum(one.segment.avg_logprob for one in self.found) / max(1, len(self.found))
        return not self.found, len(self.reasons), round(self.untranscribed_seconds, 1), -log_probability


def examine(
    segments: Sequence[Segment], evidence: AudioEvidence, decode: Decode, *, hotwords: Sequence[str]
) -> tuple[Candidate, ...]:
    """Return the segments to keep, some of them decoded again; suspicious ones have their ``hallucination_reasons``.

    Args:
        segments: of one chunk, in order; seconds from the chunk's start.
        evidence: of the chunk.
        decode: decodes a part of the chunk again; called only for suspicious segments.
        hotwords: that were in the prompt.
    """
    first = list(recover_deletions(find_reasons(segments, evidence, hotwords), evidence, decode))
    if not any(finding.suspicious for finding in first):
        return tuple(Candidate(finding.segment, finding.stats) for finding in first)
    kept: list[Candidate] = []
    index = 0
    for suspicious, group in groupby(first, lambda finding: finding.suspicious):
        found: Sequence[Finding] = list(group)
        index += len(found)
        if suspicious:
            start = kept[-1].segment.end if kept else 0.0
            end = first[index].segment.start if index < len(first) else evidence.seconds
            found = _best_alternative(found, start, max(start, end), evidence, decode, hotwords)
        kept += [
            candidate
            for finding in found
            if not is_impossible(finding.segment.text, evidence.seconds)
            and (candidate := _keep_or_drop(finding))
        ]
    return tuple(kept)


def finalize(candidates: Sequence[Candidate]) -> tuple[Segment, ...]:
    """Return the final segments of a file: text that repeats over its chunks gets its reasons, or is dropped.

    Args:
        candidates: of all chunks of the file, in order of time.
    """
    texts = [one.segment.text for one in candidates]
    repeated = _repeated(candidates)
    video_phrases = Counter(letters(text) for text in texts if is_video_phrase(text))
    kept: list[Segment] = []
    for index, one in enumerate(candidates):
        reasons = [Reason(name) for name in one.segment.hallucination_reasons]
        if video_phrases[letters(one.segment.text)] >= _MIN_VIDEO_PHRASES:
            reasons += [Reason.PHRASE, Reason.REPETITION]
        if index in repeated:
            reasons.append(Reason.REPETITION)
        ordered = tuple(reason for reason in Reason if reason in reasons)
        if final := _keep_or_drop(Finding(one.segment, one.stats, ordered)):
            kept.append(final.segment)
    return tuple(kept)


def _repeated(candidates: Sequence[Candidate]) -> set[int]:
    """Return the indexes of the candidates in loops.

    A loop of the model goes on from one window to the next; who says the same after a long pause repeats an announcement.
    """
    found: set[int] = set()
    first = 0
    for index, one in enumerate(candidates, 1):
        is_last = index == len(candidates)
        if is_last or candidates[index].segment.start - one.segment.end >= LONG_PAUSE:
            texts = [candidate.segment.text for candidate in candidates[first:index]]
            found |= {first + position for position in repeated_texts(texts)}
            first = index
    return found


def _best_alternative(
    original: Sequence[Finding],
    start: float,
    end: float,
    evidence: AudioEvidence,
    decode: Decode,
    hotwords: Sequence[str],
) -> Sequence[Finding]:
    """Return the best text for a time span whose ``original`` text is suspicious."""
    if evidence.stats(start, end).has_no_speech:
        return original
    alternatives = [_alternative(original, start, end, evidence)]
    loops = bool(alternatives[0].reasons & {Reason.REPETITION, Reason.COMPRESSION})
    for step in fallback_attempts(start, end, evidence, hotwords=bool(hotwords), loops=loops):
        segments = [
            within
            for attempt in step
            for segment in decode(attempt)
            if (within := _clipped(segment, attempt.start, end if attempt.end is None else attempt.end))
        ]
        alternative = _alternative(find_reasons(segments, evidence, ()), start, end, evidence)
        if len(alternatives) == 1 and _confirms(alternative, alternatives[0]):
            return [replace(finding, reasons=()) for finding in original]
        alternatives.append(alternative)
        # the same text again will not change with more attempts; a loop must come again after a cut for that
        is_stable = alternative.text == alternatives[0].text and (len(step) > 1 or not loops)
        if alternative.is_good or is_stable:
            break
    return min(alternatives, key=lambda alternative: alternative.rank).found


def _alternative(found: Sequence[Finding], start: float, end: float, evidence: AudioEvidence) -> _Alternative:
    part = evidence.part(start, end)
    moved = [shifted(finding.segment, -start) for finding in found]
    return _Alternative(tuple(found), *untranscribed_speech(part, moved))


def _confirms(without_hotwords: _Alternative, with_hotwords: _Alternative) -> bool:
    """Return whether only the hotwords made a text suspicious, and the text without them is similar.

    Then the names are in the audio, and their spelling is better with hotwords.
    """
    if with_hotwords.reasons != {Reason.HOTWORDS} or without_hotwords.reasons:
        return False
    before, after = (
        unicodedata.normalize("NFD", text) for text in (with_hotwords.text, without_hotwords.text)
    )
    return SequenceMatcher(None, before, after, autojunk=False).ratio() >= _MIN_SIMILARITY


def _keep_or_drop(finding: Finding) -> Candidate | None:
    """Return the segment, with its reasons if it is suspicious; None without speech."""
    if not finding.suspicious:
        return Candidate(finding.segment, finding.stats)
    if finding.stats.has_no_speech or {Reason.PHRASE, Reason.WEAK_VOICE} <= set(finding.reasons):
        return None
    reasons = tuple(reason.value for reason in finding.reasons)
    return Candidate(replace(finding.segment, hallucination_reasons=reasons), finding.stats)


def _clipped(segment: Segment, start: float, end: float) -> Segment | None:
    """Return the part of ``segment`` within ``start`` to ``end``: decoding takes whole frames, which may exceed them."""

    def clip(time: float) -> float:
        return min(max(time, start), end)

    if clip(segment.start) >= clip(segment.end):
        return None
    words = tuple(replace(word, start=clip(word.start), end=clip(word.end)) for word in segment.words)
    return replace(segment, start=clip(segment.start), end=clip(segment.end), words=words)
