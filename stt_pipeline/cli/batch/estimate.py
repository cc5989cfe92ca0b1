"""`stt batch estimate`: the size of a source, and the hours that a batch of it takes, before it is created."""

from stt_pipeline.audio.access import SourceAccess
from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.requests.batch_request import SourceRequest
from stt_pipeline.batches.requests.estimate import Estimate, estimate
from stt_pipeline.batches.requests.validation import validated
from stt_pipeline.cli.batch.arguments import AsJson, Options, Pattern, Source, parsed_options
from stt_pipeline.cli.connection import connected
from stt_pipeline.cli.terminal import print_facts, print_json
from stt_pipeline.durations import format_rough_duration
from stt_pipeline.settings import Settings


def estimate_source(
    source: Source, pattern: Pattern = "", option: Options = None, as_json: AsJson = False
) -> None:
    """Estimate a batch of SOURCE: hours of audio, of a GPU, and until its end. Nothing is written."""
    settings = Settings()
    request = validated(
        SourceRequest,
        {"source_path": source, "file_pattern": pattern, "options": parsed_options(option or ())},
    )
    allowed = AllowedSources.for_users(settings.allowed_sources, SourceAccess.interactive(settings))
    with connected() as database:
        found = estimate(database, request, allowed=allowed, max_file_bytes=settings.max_file_bytes)
    if as_json:
        print_json(found.model_dump())
    else:
        print_facts(_facts(found))


def _facts(found: Estimate) -> dict[str, str]:
    at_least = "" if found.is_complete else "at least "
    return {
        "files": f"{at_least}{found.files:,}",
        "size": f"{at_least}{found.bytes / 1e9:,.3f} GB",
        "audio": f"{at_least}{found.audio_hours:,.2f} h",
        "GPU work": f"{at_least}{found.gpu_hours:,.2f} h",
        "wall clock": f"{at_least}{format_rough_duration(found.wall_hours * 3600)}",
        "unreadable": f"{found.unreadable:,} of {found.sampled:,} sampled files",
        "basis": found.basis,
    }
