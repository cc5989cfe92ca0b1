"""JSON: everything that is stored of one recording, for programs."""

import json
from dataclasses import asdict
from typing import Final

from stt_pipeline.minutes.exports import ExportContent
from stt_pipeline.minutes.missing import review_notes
from stt_pipeline.minutes.model import minutes_to_json
from stt_pipeline.speech.transcript import segments_to_json

SCHEMA_VERSION: Final = 2


class Json:
    """One JSON object; times are seconds from the start of the recording.

    ``schema`` (2), ``file``, ``language``, ``language_probability``, ``detected_language`` and
    ``detected_language_probability`` (or null), ``duration``, ``model``, ``notes`` (list of str), ``speakers`` (list of labels),
    ``speech_seconds``, ``untranscribed_speech_seconds``, ``untranscribed_parts`` (list of ``start, end``: speech without
    text), ``quality`` (0 to 1, or null), ``quality_notes`` (list of str: what is missing or doubtful),
    ``segments`` (list of ``start, end, text, speaker, words, avg_logprob, no_speech_prob, compression_ratio``; a word is
    ``start, end, text, probability, speaker``), and ``minutes``: null, or ``title, summary, topics, decisions,
    action_items (task, owner, due, start), keywords, model, tokens_used``. These keys are present only where they have a
    value: of a segment ``language``, ``hallucination_reasons`` (list of names) and ``raw_text`` (text before the
    corrections) and ``channel`` (from 0, of a recording whose channels were transcribed apart), of a word ``overlap``,
    ``low_confidence`` and ``suggestion``.
    """

    media_type = "application/json"
    is_text = True
    has_minutes = True
    needs_turns = False

    def write(self, content: ExportContent) -> bytes:
        """See :meth:`ExportFormat.write`."""
        transcript = content.transcript
        page = {
            "schema": SCHEMA_VERSION,
            "file": content.name,
            "language": transcript.language,
            "language_probability": transcript.language_probability,
            "detected_language": transcript.detected_language,
            "detected_language_probability": transcript.detected_language_probability,
            "duration": transcript.duration,
            "model": transcript.model,
            "notes": list(transcript.notes),
            "speakers": list(transcript.speakers),
            "speech_seconds": transcript.speech_seconds,
            "untranscribed_speech_seconds": transcript.untranscribed_speech_seconds,
            "untranscribed_parts": [asdict(part) for part in transcript.untranscribed_parts],
            "quality": transcript.quality,
            "quality_notes": review_notes(transcript, "en"),
            "segments": segments_to_json(transcript.segments),
            "minutes": minutes_to_json(content.minutes) if content.minutes else None,
        }
        return (json.dumps(page, ensure_ascii=False, indent=2) + "\n").encode()
