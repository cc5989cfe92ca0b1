"""The contract of every summarizer in ``SUMMARIZERS``, and of the fake."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from stt_pipeline.backends import SUMMARIZERS
from stt_pipeline.minutes.model import minutes_from_json, minutes_to_json
from stt_pipeline.minutes.summarizer import FixedSummarizer, Summarizer
from stt_pipeline.settings import Settings
from stt_pipeline.speech.transcript import Segment, Transcript

TRANSCRIPTS = {
    "empty": Transcript("ko", 0.0, 0.0, "test"),
    "blank": Transcript("en", 0.0, 2.0, "test", (Segment(0.0, 2.0, "  "),)),
    "korean": Transcript(
        "ko",
        1.0,
        9.0,
        "test",
        (Segment(0.0, 9.0, "예산을 300만 원으로 결정했습니다.", speaker="SPEAKER_00"),),
    ),
    "arabic": Transcript("ar", 1.0, 9.0, "test", (Segment(0.0, 9.0, "نبدأ الاجتماع. نناقش الميزانية."),)),
    "marks": Transcript("", 1.0, 9.0, "test", (Segment(0.0, 9.0, "... ?! -- 123\x00<b>"),)),
}


@pytest.fixture(params=[*SUMMARIZERS, "fixed"])
def summarizer(request: pytest.FixtureRequest) -> Summarizer:
    if request.param == "fixed":
        return FixedSummarizer()
    summarizer: Summarizer = SUMMARIZERS.create(request.param, Settings())
    return summarizer


@pytest.mark.parametrize("transcript", TRANSCRIPTS.values(), ids=TRANSCRIPTS)
def test_any_transcript_gives_minutes_that_can_be_stored(
    summarizer: Summarizer, transcript: Transcript
) -> None:
    assert summarizer.concurrency >= 1
    minutes = summarizer.summarize(transcript)
    assert minutes.title and minutes.summary and minutes.model
    assert minutes.tokens_used >= 0
    assert minutes_from_json(minutes_to_json(minutes)) == minutes
    assert all(0 <= item.start <= transcript.duration for item in minutes.action_items)


def test_threads_share_a_summarizer(summarizer: Summarizer) -> None:
    with ThreadPoolExecutor(4) as pool:
        titles = {minutes.title for minutes in pool.map(summarizer.summarize, [TRANSCRIPTS["korean"]] * 8)}
    assert len(titles) == 1
