"""Quality notes: short warnings for readers of a transcript. The figures come from `engine`, `hallucination` and `confidence`."""

from dataclasses import dataclass

from stt_pipeline.speech.transcript import Transcript

_LOW_QUALITY = 0.6
# The edges of the VAD's regions alone leave some speech without text
_MAX_UNTRANSCRIBED_SECONDS = 2.0
_MAX_UNTRANSCRIBED_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Figures:
    """Quality figures of one transcript, without its text.

    Attributes:
        quality: 0 to 1; speech without text and suspicious segments count as wrong. None without speech.
        speech_seconds: seconds of speech.
        untranscribed_speech_seconds: the part of it without text.
        suspect_segments: segments with hallucination reasons.
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
        """Warnings for a reader, one phrase each; empty if the figures are good."""
        return (*self.confidence_notes, *self.missing_text_notes, *self.hallucination_notes)

    @property
    def confidence_notes(self) -> tuple[str, ...]:
        """A warning if the model was not sure of its words."""
        if self.quality is None or self.quality >= _LOW_QUALITY:
            return ()
        return (f"low confidence ({self.quality:.2f} of 1)",)

    @property
    def missing_text_notes(self) -> tuple[str, ...]:
        """A warning if much speech has no text."""
        if self.untranscribed_speech_seconds <= max(
            _MAX_UNTRANSCRIBED_SECONDS, _MAX_UNTRANSCRIBED_SHARE * self.speech_seconds
        ):
            return ()
        return (
            f"{self.untranscribed_speech_seconds:.0f} s of {self.speech_seconds:.0f} s of speech without text",
        )

    @property
    def hallucination_notes(self) -> tuple[str, ...]:
        """A warning if segments may be hallucinated."""
        if not self.suspect_segments:
            return ()
        plural = "s" * (self.suspect_segments != 1)
        return (f"{self.suspect_segments} segment{plural} that may be hallucinated",)
