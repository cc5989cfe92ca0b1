"""What becomes of what the model wrote: kept, decoded again, dropped, or kept with a mark.

Signs make a segment suspicious, other attempts may give better text, and the sound decides about what stays bad: it is
dropped where nobody spoke, else kept and marked, since a sung or repeated announcement looks like a loop too.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import groupby

from stt_pipeline.speech.hallucination.audio_evidence import AudioEvidence, SpeechStats
from stt_pipeline.speech.hallucination.deletions import with_what_was_left_out
from stt_pipeline.speech.hallucination.phrases import is_of_videos
from stt_pipeline.speech.hallucination.reasons import Finding, Reason, findings, looping
from stt_pipeline.speech.hallucination.repetition import letters
from stt_pipeline.speech.hallucination.retries import Decode, fallback_attempts
from stt_pipeline.speech.hallucination.uncovered_speech import untranscribed_speech
from stt_pipeline.speech.transcript import Segment, shifted

_ENOUGH = 0.7
"""Of the speech in a stretch, what an attempt must have text for to end the search: the rest are pauses and breaths."""

_CONFIRMED = 0.6
"""Likeness in jamo from which on a text without hotwords says the same as one with them: misspelt names have more."""

_SPRINKLED = 3
"""How often a sentence of the end of videos must stand in a file for that to be a sign of its own."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A segment that stays for now, and what the sound says about its place, for the judgement over the whole file."""

    segment: Segment
    spoken: SpeechStats


@dataclass(frozen=True, slots=True)
class _Version:
    """One text of a stretch; ``missing`` are seconds of speech without text."""

    found: tuple[Finding, ...]
    speech: float
    missing: float

    @property
    def signs(self) -> frozenset[Reason]:
        return frozenset(sign for one in self.found if one.suspicious for sign in one.signs)

    @property
    def text(self) -> str:
        return letters("".join(one.segment.text for one in self.found))

    @property
    def is_good(self) -> bool:
        return bool(self.found) and not self.signs and self.speech - self.missing >= _ENOUGH * self.speech

    @property
    def rank(self) -> tuple[bool, int, float, float]:
        """The lower, the better. No text at all is worst: whether nobody spoke is not the model's to say."""
        log_probability = sum(one.segment.avg_logprob for one in self.found) / max(1, len(self.found))
        return not self.found, len(self.signs), round(self.missing, 1), -log_probability


def examine(
    segments: Sequence[Segment], evidence: AudioEvidence, decode: Decode, *, hotwords: Sequence[str]
) -> tuple[Candidate, ...]:
    """Return what stays of ``segments``, some of them decoded again; what stays bad carries its signs in ``hallucination_reasons``.

    Args:
        segments: what the model wrote about one chunk, in order; seconds from the chunk's start.
        evidence: about the chunk.
        decode: asked for other attempts, only where something is suspicious.
        hotwords: what was shown to the model.
    """
    first = list(with_what_was_left_out(findings(segments, evidence, hotwords), evidence, decode))
    if not any(finding.suspicious for finding in first):
        return tuple(Candidate(finding.segment, finding.spoken) for finding in first)
    kept: list[Candidate] = []
    at = 0
    for suspicious, group in groupby(first, lambda finding: finding.suspicious):
        found: Sequence[Finding] = list(group)
        at += len(found)
        if suspicious:
            start = kept[-1].segment.end if kept else 0.0
            end = first[at].segment.start if at < len(first) else evidence.seconds
            found = _best(found, start, max(start, end), evidence, decode, hotwords)
        kept += [judged for finding in found if (judged := _judged(finding))]
    return tuple(kept)


def finalize(judged: Sequence[Candidate]) -> tuple[Segment, ...]:
    """Return the final segments of a whole file: what is said again and again over its chunks is marked or dropped.

    Args:
        judged: of all chunks of the file, in order of time.
    """
    texts = [one.segment.text for one in judged]
    repeated = looping(texts)
    invented = Counter(letters(text) for text in texts if is_of_videos(text))
    kept: list[Segment] = []
    for index, one in enumerate(judged):
        signs = [Reason(name) for name in one.segment.hallucination_reasons]
        if invented[letters(one.segment.text)] >= _SPRINKLED:
            signs += [Reason.PHRASE, Reason.REPETITION]
        if index in repeated:
            signs.append(Reason.REPETITION)
        ordered = tuple(sign for sign in Reason if sign in signs)
        if final := _judged(Finding(one.segment, one.spoken, ordered)):
            kept.append(final.segment)
    return tuple(kept)


def _best(
    written: Sequence[Finding],
    start: float,
    end: float,
    evidence: AudioEvidence,
    decode: Decode,
    hotwords: Sequence[str],
) -> Sequence[Finding]:
    """Return the best text for a stretch about which ``written`` is suspicious."""
    if evidence.between(start, end).nobody_spoke:
        return written
    versions = [_version(written, start, end, evidence)]
    loops = bool(versions[0].signs & {Reason.REPETITION, Reason.COMPRESSION})
    for step in fallback_attempts(start, end, evidence, hotwords=bool(hotwords), loops=loops):
        segments = [
            within
            for attempt in step
            for segment in decode(attempt)
            if (within := _within(segment, attempt.start, end if attempt.end is None else attempt.end))
        ]
        version = _version(findings(segments, evidence, ()), start, end, evidence)
        if len(versions) == 1 and _is_confirmed(versions[0], version):
            return [replace(finding, signs=()) for finding in written]
        versions.append(version)
        # what is heard the same again is what the model hears, and stays so; a loop must survive a cut for that
        is_stable = version.text == versions[0].text and (len(step) > 1 or not loops)
        if version.is_good or is_stable:
            break
    return min(versions, key=lambda version: version.rank).found


def _version(found: Sequence[Finding], start: float, end: float, evidence: AudioEvidence) -> _Version:
    part = evidence.part(start, end)
    moved = [shifted(finding.segment, -start) for finding in found]
    return _Version(tuple(found), *untranscribed_speech(part, moved))


def _is_confirmed(with_hotwords: _Version, without_hotwords: _Version) -> bool:
    """Tell whether only the hotwords made the text suspicious, and the model hears the same without them.

    Then the names were said, and are spelt better with them.
    """
    if with_hotwords.signs != {Reason.HOTWORDS} or without_hotwords.signs:
        return False
    before, after = (
        unicodedata.normalize("NFD", text) for text in (with_hotwords.text, without_hotwords.text)
    )
    return SequenceMatcher(None, before, after, autojunk=False).ratio() >= _CONFIRMED


def _judged(finding: Finding) -> Candidate | None:
    """Return what becomes of a segment: as it is, marked, or None where nobody said it."""
    if not finding.suspicious:
        return Candidate(finding.segment, finding.spoken)
    if finding.spoken.nobody_spoke or {Reason.PHRASE, Reason.WEAK_VOICE} <= set(finding.signs):
        return None
    suspect = tuple(sign.value for sign in finding.signs)
    return Candidate(replace(finding.segment, hallucination_reasons=suspect), finding.spoken)


def _within(segment: Segment, start: float, end: float) -> Segment | None:
    """Return ``segment`` as far as it lies in ``start`` to ``end``: what is decoded is whole frames, and may pass over."""

    def clipped(time: float) -> float:
        return min(max(time, start), end)

    if clipped(segment.start) >= clipped(segment.end):
        return None
    words = tuple(replace(word, start=clipped(word.start), end=clipped(word.end)) for word in segment.words)
    return replace(segment, start=clipped(segment.start), end=clipped(segment.end), words=words)
