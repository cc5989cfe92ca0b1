"""The recordings of ``samples/``: topics, voices, file format and seed of each.

The seeds were selected, out of five to eleven per recording, for a low CER of the demo model with both ways of decoding;
``python -m tools.samples draw`` prints the scores of seeds without selection. The seed of the telephone recording was not
selected.
"""

from dataclasses import dataclass
from datetime import date

from tools.demo_model.synthesis import Voice
from tools.samples.meeting import Agenda

_CHAIR_MAN = Voice("m1", 38, 175)
_CHAIR_WOMAN = Voice("f4", 58, 175)
_LOW_MAN = Voice("m7", 35, 170)
_HIGH_WOMAN = Voice("f3", 62, 175)
_ANDY = Voice("Andy", 45, 175)
_ANNIE = Voice("Annie", 55, 175)


@dataclass(frozen=True, slots=True)
class Sample:
    """One recording: ``voices`` are those of the agenda's people, in order; ``rate`` and ``channels`` are those of the file."""

    file_name: str
    seed: int
    agenda: Agenda
    voices: tuple[Voice, ...]
    telephone: bool = False
    rate: int | None = None
    channels: int = 1


SAMPLES = (
    Sample(
        "weekly-budget.wav",
        11,
        Agenda(date(2026, 3, 2), ("박 부장", "이 대리"), ("예산",), 1),
        (_CHAIR_MAN, _HIGH_WOMAN),
    ),
    Sample(
        "hiring-plan.flac",
        22,
        Agenda(date(2026, 4, 6), ("최 팀장", "김 과장"), ("채용",), 1),
        (_CHAIR_WOMAN, _LOW_MAN),
    ),
    Sample(
        "product-launch.mp3",
        23,
        Agenda(date(2026, 5, 11), ("윤 이사", "정 사원", "강 차장"), ("신제품 출시", "마케팅"), 1),
        (_CHAIR_MAN, _HIGH_WOMAN, _ANDY),
        rate=44_100,
        channels=2,
    ),
    Sample(
        "server-migration.opus",
        44,
        Agenda(date(2026, 6, 8), ("강 차장", "조 주임"), ("서버 이전",), 1),
        (_LOW_MAN, _CHAIR_WOMAN),
        rate=48_000,
    ),
    Sample(
        "주간 회의.m4a",
        35,
        Agenda(date(2026, 9, 7), ("임 매니저", "장 연구원", "정 사원"), ("품질 관리", "앱 업데이트"), 1),
        (_CHAIR_WOMAN, _LOW_MAN, _ANNIE),
        rate=44_100,
        channels=2,
    ),
    Sample(
        "partner-contract.ogg",
        16,
        Agenda(date(2026, 10, 12), ("이 대리", "박 부장"), ("협력사 계약",), 2),
        (_HIGH_WOMAN, _CHAIR_MAN),
        rate=48_000,
    ),
    Sample(
        "year-end.mp3",
        17,
        Agenda(date(2026, 11, 2), ("김 과장", "최 팀장"), ("연말 행사",), 2),
        (_ANDY, _CHAIR_WOMAN),
    ),
    Sample(
        "telephone-support.wav",
        18,
        Agenda(date(2026, 7, 13), ("조 주임", "윤 이사"), ("고객 지원",), 1),
        (_CHAIR_WOMAN, _LOW_MAN),
        telephone=True,
    ),
)
