"""What may be wrong with a segment, each sign with its threshold and where that comes from. Nothing is done about it here.

"The samples" are those of the repository, heard by the demo model, and their references.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate

from stt_pipeline.speech.hallucination.audio_evidence import AudioEvidence, SpeechStats
from stt_pipeline.speech.hallucination.phrases import is_known_hallucination
from stt_pipeline.speech.hallucination.repetition import compresses_too_well, letters, loops
from stt_pipeline.speech.transcript import Segment


class Reason(str, Enum):
    """Why a segment may never have been said; the values are what `Segment.hallucination_reasons` holds."""

    COMPRESSION = "compression"
    """The text compresses better than honest text of its length (`repetition`)."""
    REPETITION = "repetition"
    """The same is said again and again, within the segment or over several (`repetition`)."""
    LOG_PROBABILITY = "log_probability"
    """The model did not believe what it wrote."""
    SPEED = "speed"
    """More syllables than anybody can say while there is a voice."""
    NO_VOICE = "no_voice"
    """Neither voice activity nor energy where it shall have been said."""
    HOTWORDS = "hotwords"
    """Little but the words that were shown to the model beforehand."""
    PHRASE = "phrase"
    """Whisper is known to invent it; counts only with another sign."""
    NO_SPEECH = "no_speech"
    """The model itself thinks that nobody speaks; counts only with another sign, as in Whisper."""
    WEAK_VOICE = "weak_voice"
    """Little speech by the stricter threshold, as with music or a lot of noise; counts only with another sign."""


_WEAK = frozenset({Reason.PHRASE, Reason.NO_SPEECH, Reason.WEAK_VOICE})

# both from Whisper's own transcribe(): logprob_threshold and no_speech_threshold
_LOWEST_LOG_PROBABILITY = -1.0
_HIGHEST_NO_SPEECH = 0.6

# Speakers of 17 languages say 4 to 9 syllables a second, Koreans 7 on average (Coupé et al., 2019, Science Advances
# 5:9). The fastest segment of the samples has 7.2 a second of speech.
_MOST_SYLLABLES = 14.0
_FEWEST_SYLLABLES = 8  # below, a word that starts before its voice makes the figure
_SLACK = 0.3  # seconds: how far Silero may be late at both ends of a segment

# Of 158 segments of the samples one has less (0.31, "동의합니다."), of 93 in real calls and meetings ten; speech under pink
# noise that is 10 dB louder has 0.19, instrumental music 0.
_WEAKEST_VOICE = 0.35

_SHARE_OF_HOTWORDS = 0.6
_FEWEST_HOTWORDS = 2  # somebody who is called by name says one

_REACH = 0.2  # seconds around a segment that are heard with it: Whisper's times are that rough


@dataclass(frozen=True, slots=True)
class Finding:
    """A segment, what the sound says about its place, and its signs, in the order of :class:`Reason`."""

    segment: Segment
    spoken: SpeechStats
    signs: tuple[Reason, ...]

    @property
    def suspicious(self) -> bool:
        """Whether the signs are enough: one that stands alone, or two weak ones."""
        return len(self.signs) > 1 or any(sign not in _WEAK for sign in self.signs)


def findings(segments: Sequence[Segment], evidence: AudioEvidence, hotwords: Sequence[str]) -> list[Finding]:
    """Return what there is to say about each of ``segments``, which are in order of time.

    Args:
        segments: of one chunk, seconds from its start.
        evidence: about the chunk.
        hotwords: what was shown to the model when it wrote them.
    """
    shown = sorted({letters(word) for word in hotwords} - {""}, key=len, reverse=True)
    found = []
    for segment, span, signs in zip(
        segments, _spans(segments, evidence.seconds), _signs_together(segments), strict=True
    ):
        spoken = evidence.between(*span)
        signs |= _signs(segment, spoken, shown)
        if signs and is_known_hallucination(segment.text):
            signs.add(Reason.PHRASE)
        found.append(Finding(segment, spoken, tuple(sign for sign in Reason if sign in signs)))
    return found


def _signs(segment: Segment, spoken: SpeechStats, shown: Sequence[str]) -> set[Reason]:
    found = {
        Reason.COMPRESSION: compresses_too_well(segment.text),
        Reason.LOG_PROBABILITY: segment.avg_logprob < _LOWEST_LOG_PROBABILITY,
        Reason.SPEED: _is_too_fast(segment.text, spoken.speech_seconds),
        Reason.NO_VOICE: spoken.nobody_spoke,
        Reason.HOTWORDS: bool(shown) and _is_echo(letters(segment.text), shown),
        Reason.NO_SPEECH: segment.no_speech_prob > _HIGHEST_NO_SPEECH,
        Reason.WEAK_VOICE: spoken.strict_share < _WEAKEST_VOICE,
    }
    return {sign for sign, is_there in found.items() if is_there}


def _signs_together(segments: Sequence[Segment]) -> list[set[Reason]]:
    """Return the signs that show only over several segments."""
    signs: list[set[Reason]] = [set() for _ in segments]
    for index in looping([segment.text for segment in segments]):
        signs[index].add(Reason.REPETITION)
    if len(segments) > 1 and compresses_too_well(" ".join(segment.text for segment in segments)):
        for found in signs:
            found.add(Reason.COMPRESSION)
    return signs


def looping(texts: Sequence[str]) -> set[int]:
    """Return which of ``texts``, said one after the other, are a part of something that is said again and again."""
    compared = [letters(text) for text in texts]
    ends = list(accumulate(map(len, compared)))
    found: set[int] = set()
    for loop in loops("".join(compared)):
        for index in range(bisect_right(ends, loop.start), min(bisect_left(ends, loop.end) + 1, len(ends))):
            length = len(compared[index])
            # most of it: a loop may begin with the last syllables of an honest sentence
            if 2 * (min(ends[index], loop.end) - max(ends[index] - length, loop.start)) > length:
                found.add(index)
    return found


def _is_too_fast(text: str, seconds: float) -> bool:
    most = max(_FEWEST_SYLLABLES - 1, _MOST_SYLLABLES * (seconds + _SLACK))
    return len(text) > most and syllables(text) > most  # no text has more syllables than characters


def syllables(text: str) -> int:
    """Return about how many syllables it takes to say ``text``, rather too few than too many.

    Hangul, kana and Chinese characters are one each; three letters of an alphabet; digits but zeros, which are mostly
    silent in large numbers.
    """
    count = 0
    for word in text.split():
        wide = sum(character > "\u2e80" for character in word)
        digits = sum(character in "123456789" for character in word)
        narrow = sum(character.isalpha() and character <= "\u2e80" for character in word)
        count += wide + digits + -(-narrow // 3)
    return count


def _spans(segments: Sequence[Segment], end: float) -> list[tuple[float, float]]:
    """Return the segments' spans with a little around, up to their neighbours."""
    before = [0.0, *(segment.end for segment in segments)]
    after = [*(segment.start for segment in segments[1:]), end]
    return [
        (
            min(segment.start, max(segment.start - _REACH, earlier)),
            max(segment.end, min(segment.end + _REACH, later)),
        )
        for segment, earlier, later in zip(segments, before, after, strict=False)
    ]


def _is_echo(text: str, shown: Sequence[str]) -> bool:
    length, times = len(text), 0
    for word in shown:
        times += text.count(word)
        text = text.replace(word, "")
    return times >= _FEWEST_HOTWORDS and length - len(text) >= _SHARE_OF_HOTWORDS * length
