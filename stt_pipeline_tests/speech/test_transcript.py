"""Segments as JSON, also of older and newer versions."""

from stt_pipeline.speech.transcript import Segment, Word, segments_from_json, segments_to_json


def test_unknown_keys_of_a_newer_version_are_ignored() -> None:
    segment = Segment(0.0, 1.0, "네.", (Word(0.0, 1.0, " 네.", 0.9),), hallucination_reasons=("speed",))
    (row,) = segments_to_json([segment])
    row["mood"] = "calm"
    row["words"][0]["pitch"] = 220.0
    assert segments_from_json([row]) == (segment,)


def test_keys_of_schema_1_get_their_current_names() -> None:
    word = {"start": 0.0, "end": 1.0, "text": " 네.", "probability": 0.4, "speaker": None, "unsure": True}
    row = {
        "start": 0.0,
        "end": 1.0,
        "text": "네.",
        "words": [word],
        "suspect": ["speed"],
        "heard": "네",
    }
    (segment,) = segments_from_json([row])
    assert (segment.hallucination_reasons, segment.raw_text) == (("speed",), "네")
    assert segment.words[0].low_confidence
