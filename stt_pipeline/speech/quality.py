"""What there is to say against a transcript, in words. The figures are of `engine`, `guard` and `confidence`."""

from dataclasses import dataclass

from stt_pipeline.speech.transcript import Transcript

_UNSURE = 0.6  # quality under which a reader is told
# speech without text that is worth a word: the detector's edges alone leave some
_MISSED_SECONDS = 2.0
_MISSED_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known about the text of one recording, without the text.

    Attributes:
        quality: 0 to 1; speech without text and suspect segments count as wrong. None where nobody talks.
        speech_seconds: how long somebody talks.
        untranscribed_speech_seconds: the part of it for which there is no text.
        suspect_segments: how many segments may never have been said.
    """

    quality: float | None
    speech_seconds: float
    untranscribed_speech_seconds: float
    suspect_segments: int

    @classmethod
    def of(cls, transcript: Transcript) -> "Figures":
        """Return the figures of ``transcript``."""
        return cls(
            transcript.quality,
            transcript.speech_seconds,
            transcript.untranscribed_speech_seconds,
            sum(bool(segment.hallucination_reasons) for segment in transcript.segments),
        )

    @property
    def quality_notes(self) -> tuple[str, ...]:
        """What a reader should know, a phrase each; none where nothing speaks against the text."""
        found = []
        if self.quality is not None and self.quality < _UNSURE:
            found.append(f"low confidence ({self.quality:.2f} of 1)")
        if self.untranscribed_speech_seconds > max(_MISSED_SECONDS, _MISSED_SHARE * self.speech_seconds):
            found.append(
                f"{self.untranscribed_speech_seconds:.0f} s of {self.speech_seconds:.0f} s of speech without text"
            )
        if self.suspect_segments:
            plural = "s" * (self.suspect_segments != 1)
            found.append(f"{self.suspect_segments} segment{plural} that may never have been said")
        return tuple(found)
