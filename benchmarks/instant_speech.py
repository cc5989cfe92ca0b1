"""The product's definitions with backends that return at once, for ``benchmarks.orchestration``.

Every recording gets the same transcript of 50 words, two speakers and the same minutes, so that there is data to store.
All else is real.
"""

from collections import deque

from stt_pipeline.audio.sound import Sound
from stt_pipeline.batches.requests.backend_choice import FixedBackend
from stt_pipeline.definitions import build_definitions
from stt_pipeline.minutes.model import ActionItem
from stt_pipeline.minutes.summarizer import FixedSummarizer
from stt_pipeline.speech.diarization import ANY_NUMBER, SpeakerCount
from stt_pipeline.speech.transcriber import FixedTranscriber
from stt_pipeline.speech.transcript import Segment, SpeakerTurn, Word

_SENTENCE = (
    "다음",
    "주",
    "금요일까지",
    "보고서",
    "초안을",
    "모두에게",
    "보내",
    "드리기로",
    "하겠습니다",
    "네.",
)
_SEGMENTS = tuple(
    Segment(
        4.0 * n,
        4.0 * n + 4.0,
        " ".join(_SENTENCE),
        tuple(
            Word(4.0 * n + 0.4 * i, 4.0 * n + 0.4 * i + 0.4, f" {text}", 0.9)
            for i, text in enumerate(_SENTENCE)
        ),
        avg_logprob=-0.2,
        compression_ratio=1.2,
    )
    for n in range(5)
)
_TURNS = tuple(SpeakerTurn(4.0 * n, 4.0 * n + 4.0, f"SPEAKER_{n % 2:02d}") for n in range(5))


class InstantDiarizer:
    """Returns the same turns of two speakers for every recording, unlike a real one even for silence."""

    name = "instant"

    def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        """Read the audio, as a real one does, and return the turns."""
        deque(sound.blocks(), maxlen=0)
        return _TURNS


_SUMMARIZER = FixedSummarizer(
    "주간 회의",
    "보고서 초안을 다음 주 금요일까지 보내기로 했다.",
    topics=("보고서",),
    action_items=(ActionItem("보고서 초안을 보낸다", "SPEAKER_00", "다음 주 금요일", 0.4),),
)

defs = build_definitions(
    {
        "transcribers": FixedBackend(FixedTranscriber(_SEGMENTS, model="instant")),
        "diarizers": FixedBackend(InstantDiarizer()),
        "summarizers": FixedBackend(_SUMMARIZER),
    }
)
