"""Reasons to suspect that a segment is a hallucination, with their thresholds and the sources of these.

"The samples" are those of the repository, transcribed by the demo model, and their references.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from stt_pipeline.speech.hallucination.audio_evidence import AudioEvidence, SpeechStats
from stt_pipeline.speech.hallucination.phrases import is_known_hallucination
from stt_pipeline.speech.hallucination.repetition import compresses_too_well, letters, loops
from stt_pipeline.speech.transcript import Segment


class Reason(StrEnum):
    """Why a segment may be a hallucination; the values of `Segment.hallucination_reasons`."""

    COMPRESSION = "compression"
    """The text compresses better than normal text of its length (`repetition`)."""
    REPETITION = "repetition"
    """A loop within the segment or over several (`repetition`)."""
    LOG_PROBABILITY = "log_probability"
    """The average log-probability of its tokens is low."""
    SPEED = "speed"
    """More syllables than a speaker can say in its seconds of speech."""
    NO_VOICE = "no_voice"
    """VAD or energy show no speech at its time."""
    HOTWORDS = "hotwords"
    """Mostly hotwords of the prompt."""
    PHRASE = "phrase"
    """A known hallucination of Whisper (`phrases`); counts only with another reason."""
    NO_SPEECH = "no_speech"
    """A high ``no_speech_prob``; counts only with another reason, as in Whisper."""
    WEAK_VOICE = "weak_voice"
    """Little speech by the stricter VAD threshold, as with music or loud noise; counts only with another reason."""


_WEAK = frozenset({Reason.PHRASE, Reason.NO_SPEECH, Reason.WEAK_VOICE})

# both from Whisper's own transcribe(): logprob_threshold and no_speech_threshold
_MIN_LOG_PROBABILITY = -1.0
_MAX_NO_SPEECH = 0.6

# Speakers of 17 languages say 4 to 9 syllables per second, Koreans 7 on average (Coupé et al., 2019, Science Advances
# 5:9). The fastest segment of the samples has 7.2 per second of speech.
_MAX_SYLLABLES_PER_SECOND = 14.0
_MIN_SYLLABLES = 8  # in shorter text, one word that starts before its speech decides
_VAD_DELAY = 0.3  # seconds that Silero may miss at both ends of a segment together

# Of 158 segments of the samples one has less (0.31, "동의합니다."), of 93 in real calls and meetings ten; speech with pink
# noise 10 dB above it has 0.19, instrumental music 0.
_MIN_STRICT_SHARE = 0.35

_MIN_HOTWORD_SHARE = 0.6
_MIN_HOTWORDS = 2  # one name alone is normal speech

_CUT_SECONDS = 0.1  # of a word that may be cut off at the edges of a chunk

_MARGIN = 0.2  # seconds around a segment that belong to it: Whisper's times are inexact


@dataclass(frozen=True, slots=True)
class Finding:
    """A segment, the speech statistics of its time, and its reasons, in the order of :class:`Reason`."""

    segment: Segment
    stats: SpeechStats
    reasons: tuple[Reason, ...]

    @property
    def suspicious(self) -> bool:
        """Whether the reasons are enough: one strong one, or two weak ones."""
        return len(self.reasons) > 1 or any(reason not in _WEAK for reason in self.reasons)


def find_reasons(
    segments: Sequence[Segment], evidence: AudioEvidence, hotwords: Sequence[str]
) -> list[Finding]:
    """Return the finding of each segment.

    Args:
        segments: of one chunk, in order of time; seconds from its start.
        evidence: of the chunk.
        hotwords: that were in the prompt.
    """
    compared = sorted({letters(word) for word in hotwords} - {""}, key=len, reverse=True)
    found = []
    for segment, span, reasons in zip(
        segments, _spans(segments, evidence.seconds), _reasons_of_sequence(segments), strict=True
    ):
        stats = evidence.stats(*span)
        reasons |= _reasons_of_segment(segment, stats, compared)
        if reasons and is_known_hallucination(segment.text):
            reasons.add(Reason.PHRASE)
        found.append(Finding(segment, stats, tuple(reason for reason in Reason if reason in reasons)))
    return found


def _reasons_of_segment(segment: Segment, stats: SpeechStats, hotwords: Sequence[str]) -> set[Reason]:
    found = {
        Reason.COMPRESSION: compresses_too_well(segment.text),
        Reason.LOG_PROBABILITY: segment.avg_logprob < _MIN_LOG_PROBABILITY,
        Reason.SPEED: _is_too_fast(segment.text, stats.speech_seconds),
        Reason.NO_VOICE: stats.has_no_speech,
        Reason.HOTWORDS: bool(hotwords) and _is_echo(letters(segment.text), hotwords),
        Reason.NO_SPEECH: segment.no_speech_prob > _MAX_NO_SPEECH,
        Reason.WEAK_VOICE: stats.strict_share < _MIN_STRICT_SHARE,
    }
    return {reason for reason, applies in found.items() if applies}


def _reasons_of_sequence(segments: Sequence[Segment]) -> list[set[Reason]]:
    """Return the reasons of each segment that depend on its neighbours."""
    reasons: list[set[Reason]] = [set() for _ in segments]
    for index in repeated_texts([segment.text for segment in segments]):
        reasons[index].add(Reason.REPETITION)
    if len(segments) > 1 and compresses_too_well(" ".join(segment.text for segment in segments)):
        for found in reasons:
            found.add(Reason.COMPRESSION)
    return reasons


def repeated_texts(texts: Sequence[str]) -> set[int]:
    """Return the indexes of the texts that are part of a loop over all of them in order."""
    compared = [letters(text) for text in texts]
    ends = list(accumulate(map(len, compared)))
    found: set[int] = set()
    for loop in loops("".join(compared)):
        for index in range(bisect_right(ends, loop.start), min(bisect_left(ends, loop.end) + 1, len(ends))):
            length = len(compared[index])
            # more than half of it: a loop may begin with the last syllables of a normal sentence
            if 2 * (min(ends[index], loop.end) - max(ends[index] - length, loop.start)) > length:
                found.add(index)
    return found


def _is_too_fast(text: str, seconds: float) -> bool:
    limit = max(_MIN_SYLLABLES - 1, _MAX_SYLLABLES_PER_SECOND * (seconds + _VAD_DELAY))
    return len(text) > limit and syllables(text) > limit  # no text has more syllables than characters


def syllables(text: str) -> int:
    """Return a lower estimate of the number of syllables of ``text`` when spoken.

    One for each Hangul, kana or Chinese character, for each three letters of an alphabet, and for each digit except
    zeros, which are mostly silent in large numbers.
    """
    count = 0
    for word in text.split():
        wide = sum(character > "\u2e80" for character in word)
        digits = sum(character in "123456789" for character in word)
        narrow = sum(character.isalpha() and character <= "\u2e80" for character in word)
        count += wide + digits + -(-narrow // 3)
    return count


def is_impossible(text: str, seconds: float) -> bool:
    """Return whether no speaker can say ``text`` in a recording or chunk of this length, whatever the times of the model."""
    limit = _MAX_SYLLABLES_PER_SECOND * (seconds + _CUT_SECONDS)
    return len(text) > limit and syllables(text) > limit


def _spans(segments: Sequence[Segment], end: float) -> list[tuple[float, float]]:
    """Return start and end of each segment with a margin, up to its neighbours."""
    before = [0.0, *(segment.end for segment in segments)]
    after = [*(segment.start for segment in segments[1:]), end]
    return [
        (
            min(segment.start, max(segment.start - _MARGIN, earlier)),
            max(segment.end, min(segment.end + _MARGIN, later)),
        )
        for segment, earlier, later in zip(segments, before, after, strict=False)
    ]


def _is_echo(text: str, hotwords: Sequence[str]) -> bool:
    length, times = len(text), 0
    for word in hotwords:
        times += text.count(word)
        text = text.replace(word, "")
    return times >= _MIN_HOTWORDS and length - len(text) >= _MIN_HOTWORD_SHARE * length
