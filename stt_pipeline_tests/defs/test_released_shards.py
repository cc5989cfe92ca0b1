"""A partition that has passed its stage goes on to the next one while its run works on others."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from stt_pipeline.audio.sound import Sound, all_samples
from stt_pipeline.batches.execution import file_loop, finished_shards
from stt_pipeline.batches.requests.backend_choice import FixedBackend
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.definitions import build_definitions
from stt_pipeline.errors import UnreadableError
from stt_pipeline.speech.diarization import ANY_NUMBER, SpeakerCount
from stt_pipeline.speech.transcript import SpeakerTurn
from stt_pipeline_tests.batches.recordings import OneSpeaker, write_tone
from stt_pipeline_tests.defs.conftest import Product

LIMIT = 60.0  # seconds; it only ends a test that fails


class _Meanwhile(OneSpeaker):
    """Works on recordings of over a second until ``is_over``, and then fails for good."""

    is_over: Callable[[], bool]

    def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        if len(all_samples(sound)) > 16_000:
            end = time.monotonic() + LIMIT
            while not self.is_over():
                assert time.monotonic() < end
            raise UnreadableError("it is broken")
        return super().diarize(sound, speaker_count)


@pytest.mark.slow
def test_minutes_are_published_while_the_run_goes_on(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finished_shards, "EVENTS_SECONDS", 0.0)
    monkeypatch.setattr(finished_shards, "RELEASE_SECONDS", 0.0)
    monkeypatch.setattr(file_loop, "WRITE_SECONDS", 0.05)
    diarizer = _Meanwhile()
    resources = {"transcribers": FixedBackend(product.transcriber), "diarizers": lambda options: diarizer}
    product = replace(product, definitions=build_definitions(resources))
    for number, seconds in enumerate((1.5, 0.2)):
        write_tone(tmp_path / "in" / f"{number}.wav", seconds)
    create_batch(product.database, BatchRequest(source_path=str(tmp_path / "in")))
    product.run_until("scan_source")
    (request,) = product.tick()
    published: list[dg.ExecuteInProcessResult] = []

    def is_over() -> bool:
        published.extend(product.run(one) for one in product.tick() if one.job_name == "publish_minutes")
        return bool(published)

    diarizer.is_over = is_over
    transcribed = product.run(request)
    (run,) = published
    _, short = product.partitions("audio")
    assert run.success
    assert [one.partition for one in run.asset_materializations_for_node("notifications")] == [short]
    # the run of the first stage fails for its broken recording alone, after the other one is published
    assert not transcribed.success
    shown = {one.partition for one in transcribed.asset_materializations_for_node("speaker_turns")}
    assert shown == {short}
