"""Quality notes: short warnings for readers of a transcript. The figures come from `engine`, `hallucination` and `confidence`."""

from collections.abc import Collection
from dataclasses import dataclass

from stt_pipeline.speech.transcript import Transcript

_LOW_QUALITY = 0.6
# The edges of the VAD's regions alone leave some speech without text
_MAX_UNTRANSCRIBED_SECONDS = 2.0
_MAX_UNTRANSCRIBED_SHARE = 0.05
# Whisper base takes no piece of Korean talks (clean, noisy, telephone) with this much speech for another language, and has 0.5 or
# more for each English one; of pieces under 3 s it takes some for another language, one with 0.92
_MIN_DETECTED_PROBABILITY = 0.5  # also faster-whisper's `language_detection_threshold`
_MIN_DETECTED_SPEECH = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Figures:
    """Quality figures of one transcript, without its text.

    Attributes:
        quality: 0 to 1; speech without text and suspicious segments count as wrong. None without speech.
        speech_seconds: seconds of speech.
        untranscribed_speech_seconds: the part of it without text.
        suspect_segments: segments with hallucination reasons.
        language: of the text; empty if no language was given and there is no speech.
        detected_language: see :class:`Transcript`.
        detected_language_probability: see :class:`Transcript`.
    """

    quality: float | None
    speech_seconds: float
    untranscribed_speech_seconds: float
    suspect_segments: int
    language: str
    detected_language: str | None = None
    detected_language_probability: float | None = None

    @classmethod
    def of(cls, transcript: Transcript) -> "Figures":
        """Return the figures of ``transcript``."""
        return cls(
            transcript.quality,
            transcript.speech_seconds,
            transcript.untranscribed_speech_seconds,
            sum(bool(segment.hallucination_reasons) for segment in transcript.segments),
            transcript.language,
            transcript.detected_language,
            transcript.detected_language_probability,
        )

    @property
    def quality_notes(self) -> tuple[str, ...]:
        """Warnings for a reader, one phrase each; empty if the figures are good."""
        return (
            *self.confidence_notes,
            *self.missing_text_notes,
            *self.hallucination_notes,
            *self.language_notes([self.language]),
        )

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

    def language_notes(self, expected: Collection[str]) -> tuple[str, ...]:
        """A warning if the text is in none of the ``expected`` languages, or the speech is clearly in none of them."""
        instead = f"instead of {' or '.join(expected)}"
        if self.language and self.language not in expected:
            return (f"{self.language} {instead}",)
        detected, probability = self.detected_language, self.detected_language_probability
        if (
            not detected
            or detected in expected
            or (probability or 0.0) < _MIN_DETECTED_PROBABILITY
            or self.speech_seconds < _MIN_DETECTED_SPEECH
        ):
            return ()
        return (f"{detected} was detected ({probability:.2f} of 1) {instead}",)
