"""Segments as JSON, which outlive the version that wrote them."""

from stt_pipeline.speech.transcript import Segment, Word, segments_from_json, segments_to_json


def test_what_a_newer_version_knows_besides_is_left_out() -> None:
    segment = Segment(0.0, 1.0, "네.", (Word(0.0, 1.0, " 네.", 0.9),), suspect=("speed",))
    (row,) = segments_to_json([segment])
    row["mood"] = "calm"
    row["words"][0]["pitch"] = 220.0
    assert segments_from_json([row]) == (segment,)
