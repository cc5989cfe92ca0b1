"""The last step of a recording: what is done to the text after the model wrote it. No model and no threads here."""

from dataclasses import replace

from stt_pipeline.speech import confidence, hotwords, korean
from stt_pipeline.speech.recordings import TranscriptionOptions
from stt_pipeline.speech.transcript import Transcript


def finished(transcript: Transcript, options: TranscriptionOptions) -> Transcript:
    """Return ``transcript`` as people get it: corrected, with names that may have been misheard, and its quality."""
    segments = korean.correct(transcript.segments, options)
    segments = confidence.mark(hotwords.suggest(segments, options.hotwords))
    done = transcript.with_segments(segments)
    return replace(done, quality=confidence.quality(done))
