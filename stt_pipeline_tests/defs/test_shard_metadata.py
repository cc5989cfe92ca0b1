"""The metadata of a shard shows the figures that mean something for its asset, and the number of its rows."""

from pathlib import Path

import dagster as dg
import pytest

from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline_tests.batches.recordings import write_tone
from stt_pipeline_tests.defs.conftest import Product


@pytest.mark.slow
def test_only_the_transcribe_stage_shows_a_real_time_factor(product: Product, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav", 0.2)
    create_batch(product.database, BatchRequest(source_path=str(tmp_path / "in")))
    product.run_until("publish_minutes")
    shown = {}
    for asset in ("transcripts", "speaker_turns", "meeting_minutes", "notifications"):
        event = product.instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event is not None and event.asset_materialization is not None
        metadata = event.asset_materialization.metadata
        assert metadata["dagster/row_count"].value == 1, asset
        shown[asset] = {"real-time factor", "audio minutes"} & set(metadata)
    assert all(shown[asset] for asset in ("transcripts", "speaker_turns"))
    assert shown["meeting_minutes"] == shown["notifications"] == set()
