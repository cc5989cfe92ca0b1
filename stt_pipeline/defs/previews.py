"""Metadata of materializations: previews of the first files of a shard, and the report of a batch."""

import base64
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from stt_pipeline.batches.maintenance.compaction import Compaction
from stt_pipeline.batches.queries.progress import status_text
from stt_pipeline.batches.queries.review import ToReview
from stt_pipeline.batches.queries.throughput_plot import throughput_png
from stt_pipeline.batches.stages.report import Report
from stt_pipeline.durations import clock
from stt_pipeline.speech.quality import Figures
from stt_pipeline.speech.timeline import speaker_timeline_png
from stt_pipeline.store.results.summaries import Summary
from stt_pipeline.store.results.transcriptions import Transcription

if TYPE_CHECKING:
    from upath import UPath

SHOWN_FILES = 3
_SHOWN_SEGMENTS = 8


def transcript_preview(found: Sequence[tuple[str, Transcription]]) -> dict[str, Any]:
    """Return the languages, models, quality, notes and first segments of transcripts."""
    if not found:
        return {}
    transcripts = [stored.transcript for _, stored in found]
    metadata: dict[str, Any] = {
        "language": ", ".join(sorted({transcript.language for transcript in transcripts})),
        "model": ", ".join(sorted({transcript.model for transcript in transcripts})),
        "transcript": dg.MetadataValue.md(
            "\n\n".join(_transcript_md(name, stored) for name, stored in found)
        ),
    }
    metadata |= _quality(found)
    notes = sorted({note for transcript in transcripts for note in transcript.notes})
    if notes:
        metadata["note"] = " ".join(notes)
    return metadata


def _quality(found: Sequence[tuple[str, Transcription]]) -> dict[str, Any]:
    figures = [(name, Figures.of(stored.transcript)) for name, stored in found]
    rated = [its.quality for _, its in figures if its.quality is not None]
    notes = [f"{name}: {', '.join(its.quality_notes)}" for name, its in figures if its.quality_notes]
    return {
        **({"quality, 0 to 1": ", ".join(f"{quality:.2f}" for quality in rated)} if rated else {}),
        **({"quality notes": "; ".join(notes)} if notes else {}),
    }


def speaker_preview(found: Sequence[tuple[str, Transcription]]) -> dict[str, Any]:
    """Return the number of speakers of each transcript, and a picture of the speaker turns of the first one."""
    found = [(name, stored) for name, stored in found if stored.status == "completed"]
    if not found:
        return {}
    return {
        "speakers": ", ".join(f"{len({turn.speaker for turn in stored.turns})}" for _, stored in found),
        # of the first file only: the picture is stored in Dagster's event log
        "speaker timeline": dg.MetadataValue.md(_timeline_md(*found[0])),
        "transcript": dg.MetadataValue.md(
            "\n\n".join(_transcript_md(name, stored) for name, stored in found)
        ),
    }


def minutes_preview(found: Sequence[tuple[str, Summary]]) -> dict[str, Any]:
    """Return the minutes as Markdown."""
    if not found:
        return {}
    return {
        "action items": sum(len(summary.minutes.action_items) for _, summary in found),
        "minutes": dg.MetadataValue.md("\n\n".join(_minutes_md(name, summary) for name, summary in found)),
    }


def report_preview(report: Report) -> dict[str, Any]:
    """Return the progress of a batch, the first failures of each error class, and a plot of its throughput."""
    figures = report.progress
    metadata: dict[str, Any] = {
        "status": status_text(figures.status, figures.failed, figures.total_files or 0),
        "files": figures.total_files or 0,
        "succeeded": figures.completed,
        "failed": figures.failed,
        "audio hours": round(figures.audio_hours_done, 3),
        "mails sent": report.emails_sent,
    }
    if figures.real_time_factor is not None:
        metadata["real-time factor"] = round(figures.real_time_factor, 4)
    if figures.avg_processing_time is not None:
        metadata["processing seconds per file"] = round(figures.avg_processing_time, 2)
    if figures.completed_at is not None:
        taken = figures.completed_at - figures.created_at
        metadata["duration in seconds"] = round(taken.total_seconds(), 1)
        metadata["duration"] = str(timedelta(seconds=round(taken.total_seconds())))
    if report.examples:
        metadata["failures"] = dg.MetadataValue.md(_failures_md(report))
    if report.to_review:
        metadata["review first"] = dg.MetadataValue.md(_review_md(report.to_review))
    if report.throughput:
        png = throughput_png(report.throughput)
        metadata["throughput"] = dg.MetadataValue.md(_picture_md("throughput", png))
    return metadata


def compaction_preview(compaction: Compaction, root: "UPath") -> dict[str, Any]:
    """Return the files, rows and bytes of each dataset, their folder, and a query that reads them."""
    batch = compaction.batch
    if not compaction.datasets:
        return {"skipped": f"Batch {batch.id} is {batch.status}: its files are compacted when it ends."}
    metadata: dict[str, Any] = {
        # a row of `transcripts` is a recording
        "dagster/row_count": compaction.datasets["transcripts"].rows,
        "shard files read": sum(its.shards for its in compaction.datasets.values()),
    }
    for dataset, its in compaction.datasets.items():
        metadata |= {
            f"{dataset} files": its.files,
            f"{dataset} rows": its.rows,
            f"{dataset} bytes": its.size,
            f"{dataset} path": dg.MetadataValue.path(its.folder),
        }
    metadata["query"] = dg.MetadataValue.md(_query_md(str(root), batch.id))
    return metadata


def _query_md(root: str, batch_id: int) -> str:
    files = f"{root}/compacted/transcripts/**/*.parquet".replace("'", "''")
    return "\n".join(
        [
            "DuckDB reads all compacted batches as one table; the condition selects this one:",
            "",
            "```sql",
            f"SELECT uri, duration, text FROM read_parquet('{files}', hive_partitioning = true) WHERE batch = {batch_id};",
            "```",
        ]
    )


def _failures_md(report: Report) -> str:
    lines = []
    for group, count in report.progress.failures_by_class.items():
        lines += [f"#### {group}: {count:,}", ""]
        lines += [
            f"- **{name}**: {' '.join(error.split())}"
            for name, error_class, error in report.examples
            if error_class == group
        ]
        lines += [""]
    return "\n".join(lines)


def _review_md(found: Sequence[ToReview]) -> str:
    rows = []
    for one in found:
        figures = one.transcript.figures
        path = one.path.replace("|", "\\|")
        rows.append(f"| {path} | {figures.quality:.2f} | {', '.join(figures.quality_notes)} |")
    return "\n".join(["| file | quality, 0 to 1 | quality notes |", "|---|---|---|", *rows])


def _transcript_md(name: str, stored: Transcription) -> str:
    lines = [
        f"- `{clock(segment.start)}` {f'**{segment.speaker}** ' if segment.speaker else ''}{segment.text.strip()}"
        for segment in stored.transcript.segments[:_SHOWN_SEGMENTS]
    ]
    more = len(stored.transcript.segments) - len(lines)
    return "\n".join(
        [f"#### {name}", "", *(lines or ["(no speech)"]), *([f"- … {more} more"] if more > 0 else [])]
    )


def _timeline_md(name: str, stored: Transcription) -> str:
    png = speaker_timeline_png(stored.turns, stored.transcript.duration)
    return f"#### {name}\n\n{_picture_md('speaker timeline', png)}"


def _picture_md(title: str, png: bytes) -> str:
    return f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})"


def _minutes_md(name: str, summary: Summary) -> str:
    minutes = summary.minutes
    lines = [f"#### {name}: {minutes.title}", "", minutes.summary, ""]
    if minutes.decisions:
        lines += [*(f"- {decision}" for decision in minutes.decisions), ""]
    if minutes.action_items:
        lines += ["| owner | task | due |", "|---|---|---|"]
        lines += [f"| {item.owner or ''} | {item.task} | {item.due or ''} |" for item in minutes.action_items]
    return "\n".join(lines)
