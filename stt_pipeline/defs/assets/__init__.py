"""The assets, one file each with its check, from the manifest of a batch to its report and compacted files."""

from collections.abc import Sequence

import dagster as dg

from stt_pipeline.defs.assets.audio_files import audio_files
from stt_pipeline.defs.assets.audio_manifest import audio_manifest
from stt_pipeline.defs.assets.batch_report import batch_report
from stt_pipeline.defs.assets.compacted_datasets import compacted_datasets
from stt_pipeline.defs.assets.meeting_minutes import meeting_minutes
from stt_pipeline.defs.assets.notifications import notifications
from stt_pipeline.defs.assets.speaker_turns import speaker_turns
from stt_pipeline.defs.assets.transcripts import transcripts
from stt_pipeline.defs.catalog import catalogued

ASSETS: Sequence[dg.AssetsDefinition] = catalogued(
    (
        audio_manifest,
        audio_files,
        transcripts,
        speaker_turns,
        meeting_minutes,
        notifications,
        batch_report,
        compacted_datasets,
    )
)
