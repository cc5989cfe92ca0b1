"""STT_MAX_AUDIO_HOURS reaches every step of a run that reads recordings."""

from pathlib import Path

import pytest

from stt_pipeline.audio.decode import decode_blocks
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline_tests.batches.recordings import write_tone
from stt_pipeline_tests.batches.stage_runs import statuses_of
from stt_pipeline_tests.defs.conftest import Product


@pytest.mark.slow
def test_a_recording_of_more_hours_than_the_setting_fails_and_its_neighbour_does_not(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STT_MAX_AUDIO_HOURS", str(2 / 3600))
    folder = tmp_path / "in"
    write_tone(folder / "long.wav", 3.0)
    write_tone(folder / "short.wav", 1.0)
    limits: list[float] = []

    def counted(path: Path, max_hours: float, **how: object) -> object:
        limits.append(max_hours)
        return decode_blocks(path, max_hours=max_hours, **how)  # type: ignore[arg-type]

    monkeypatch.setattr("stt_pipeline.audio.sound.decode_blocks", counted)
    batch = create_batch(product.database, BatchRequest(source_path=str(folder)))
    product.run_until("report_batch")
    assert statuses_of(product.database, batch.id) == {
        "long.wav": "failed too_large",
        "short.wav": "success",
    }
    assert set(limits) == {2 / 3600}
