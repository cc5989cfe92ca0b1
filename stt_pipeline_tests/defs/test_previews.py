"""The metadata of a batch report."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from stt_pipeline.batches.queries.progress import Progress
from stt_pipeline.batches.queries.review import ToReview
from stt_pipeline.batches.stages.report import Report
from stt_pipeline.defs.previews import report_preview
from stt_pipeline.speech.quality import Figures
from stt_pipeline.store.results.review import FileQuality

CREATED = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
PROGRESS = Progress(
    batch_id=12,
    name="meetings",
    status="completed",
    total_files=1_207,
    transcribed=1_000,
    completed=1_000,
    failed=207,
    pending=0,
    progress_percentage=100.0,
    avg_processing_time=2.5,
    estimated_completion=None,
    audio_hours_done=512.5,
    transcribed_per_minute=None,
    files_per_minute=None,
    real_time_factor=0.0123,
    failures_by_class={"download": 7, "unreadable": 200},
    error=None,
    created_at=CREATED,
    completed_at=CREATED + timedelta(days=1, hours=2, minutes=3),
    dispatcher_last_tick=None,
)
REPORT = Report(
    progress=PROGRESS,
    examples=(
        ("a.wav", "download", "The file\nis gone."),
        ("b.wav", "unreadable", "It has 0 bytes."),
        ("c.wav", "unreadable", "It is text."),
    ),
    throughput=((CREATED, 1_207, 1_845_000.0),),
    to_review=(
        ToReview(
            "팀 a|b.wav", FileQuality(1, 1, "file:///x/b.wav", 60.0, Figures(0.41, 50.0, 20.0, 1, "ko"))
        ),
        ToReview(
            "fine.wav", FileQuality(2, 2, "file:///x/fine.wav", 60.0, Figures(0.93, 50.0, 1.0, 0, "ko"))
        ),
    ),
    emails_sent=3,
    mail_errors={},
)


def test_a_report_shows_figures_failures_by_class_and_the_throughput() -> None:
    shown = report_preview(REPORT)
    assert (shown["files"], shown["succeeded"], shown["failed"]) == (1_207, 1_000, 207)
    assert (shown["audio hours"], shown["duration"]) == (512.5, "1 day, 2:03:00")
    assert (shown["duration in seconds"], shown["processing seconds per file"]) == (93_780.0, 2.5)
    assert shown["failures"].md_str.split("\n") == [
        *("#### download: 7", "", "- **a.wav**: The file is gone.", ""),
        *("#### unreadable: 200", "", "- **b.wav**: It has 0 bytes.", "- **c.wav**: It is text.", ""),
    ]
    assert shown["review first"].md_str.split("\n")[2:] == [
        "| 팀 a\\|b.wav | 0.41 | low confidence (0.41 of 1), 20 s of 50 s of speech without text, "
        "1 segment that may be hallucinated |",
        "| fine.wav | 0.93 |  |",
    ]
    assert shown["throughput"].md_str.startswith("![throughput](data:image/png;base64,")


def test_a_report_of_a_batch_that_is_not_over_shows_what_there_is() -> None:
    nothing = replace(
        PROGRESS, completed_at=None, avg_processing_time=None, real_time_factor=None, failures_by_class={}
    )
    shown = report_preview(Report(nothing, (), (), (), 0, {}))
    assert set(shown) == {"status", "files", "succeeded", "failed", "audio hours", "mails sent"}
