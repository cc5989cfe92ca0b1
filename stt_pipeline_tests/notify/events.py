"""One event of each kind, for tests of notifiers."""

from datetime import UTC, datetime, timedelta

from stt_pipeline.minutes.model import ActionItem, Minutes
from stt_pipeline.notify.events import BatchEnded, MinutesReady

CREATED = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

MINUTES_READY = MinutesReady(
    id="7",
    name="주간 회의.m4a",
    language="ko",
    facts=(
        ("일시", "2026년 11월 22일(일) 14:00"),
        ("장소", "3층 회의실"),
        ("참석자", "김 과장, 이 대리"),
        ("녹음", "주간 회의.m4a"),
        ("길이", "1:02:05"),
        ("화자", "화자 1"),
    ),
    notes=("demo 모델은 작은 어휘만 압니다.",),
    minutes=Minutes(
        title="예산, 채용",
        summary="예산을 300만 원으로 결정했습니다.",
        topics=("예산", "채용"),
        decisions=("예산을 300만 원으로 결정했습니다.",),
        action_items=(
            ActionItem("예산안 제출", "김 과장", "12월 3일"),
            ActionItem("회의록 정리", "화자 1"),
        ),
        keywords=("예산", "채용"),
    ),
    day=CREATED.date(),
)

BATCH_ENDED = BatchEnded(
    id="3",
    name="연말 회의",
    status="completed",
    total=12_000,
    completed=11_990,
    failed=10,
    audio_hours=8123.5,
    failures_by_class={"download": 3, "unreadable": 7},
    examples=(("a.mp3", "unreadable", "It holds text."), ("b.mp3", "download", "403")),
    created_at=CREATED,
    completed_at=CREATED + timedelta(hours=30),
    day=(CREATED + timedelta(hours=30)).date(),
)
