"""What a run in the Dagster UI does and shows: done, stale, failed and skipped partitions, and its log."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from stt_pipeline.batches.ingest import scan
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.batches.requests.retry import retry
from stt_pipeline.defs.partitions import audio_partitions
from stt_pipeline.defs.run_tags import FAILED_RECORDINGS_TAG
from stt_pipeline.defs.shard_step import ShardConfig
from stt_pipeline.defs.stages import STAGE_ASSETS
from stt_pipeline.errors import DownloadError, UnreadableError
from stt_pipeline.store import tables
from stt_pipeline_tests.batches.recordings import MAX_BYTES, write_tone
from stt_pipeline_tests.defs.conftest import Product
from stt_pipeline_tests.rows import Rows

pytestmark = pytest.mark.slow

TRANSCRIBE = STAGE_ASSETS["transcribe"]
PUBLISH = STAGE_ASSETS["publish"]


class Partitions:
    """What Dagster shows of the shards of one batch."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.keys = product.partitions("audio")

    def run(self, job: str, *keys: str, **tags: str) -> dg.ExecuteInProcessResult:
        """Run a job over partitions, as a user does with Materialize or a backfill."""
        ends = {
            "dagster/asset_partition_range_start": keys[0],
            "dagster/asset_partition_range_end": keys[-1],
        }
        return self.product.run(dg.RunRequest(job_name=job, tags={**ends, **tags}))

    def materializations(self, asset: str, key: str) -> Sequence[dg.AssetMaterialization]:
        records = self.product.instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[key]), limit=100
        ).records
        return [record.asset_materialization for record in records if record.asset_materialization]

    def observations(self, asset: str, key: str) -> Sequence[dg.AssetObservation]:
        records = self.product.instance.fetch_observations(
            dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[key]), limit=100
        ).records
        return [record.asset_observation for record in records if record.asset_observation]

    def status(self, asset: str) -> tuple[set[str], set[str]]:
        """Return the partitions that the UI shows as failed, and as missing."""
        cached = get_and_update_asset_status_cache_value(
            self.product.instance, dg.AssetKey(asset), audio_partitions, self.product.instance
        )
        assert cached is not None
        failed = set(cached.deserialize_failed_partition_subsets(audio_partitions).get_partition_keys())
        done = set(cached.deserialize_materialized_partition_subsets(audio_partitions).get_partition_keys())
        return failed, set(self.keys) - done - failed


def logged(product: Product, run_id: str, level: int = 20) -> list[str]:
    """Return the messages that a run logged itself."""
    return [
        entry.user_message
        for entry in product.instance.all_logs(run_id)
        if not entry.is_dagster_event and int(entry.level) >= level
    ]


def evaluations(done: dg.ExecuteInProcessResult) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    """Return the evaluations of the checks that fail where a file failed, by asset and partition."""
    return {
        (one.asset_key.path[-1], str(one.partition)): one
        for one in done.get_asset_check_evaluations()
        if one.check_name.startswith("every_")
    }


def stale_status(product: Product) -> CachingStaleStatusResolver:
    """Return what decides in the UI whether a partition is stale."""
    graph = product.definitions.resolve_asset_graph()
    return CachingStaleStatusResolver(product.instance, graph, LoadingContextForTest(product.instance))


def new_batch(product: Product, folder: Path, files: int) -> Partitions:
    """Make a batch of tones, scan it, and return its partitions."""
    for number in range(files):
        write_tone(folder / f"{number}.wav", 0.2)
    create_batch(product.database, BatchRequest(source_path=str(folder)))
    product.run_until("scan_source")
    return Partitions(product)


def completed(product: Product, folder: Path, files: int) -> Partitions:
    partitions = new_batch(product, folder, files)
    product.run_until("report_batch")
    return partitions


@pytest.fixture
def large_shards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Batches have shards of several files."""
    monkeypatch.setattr(scan, "ONE_FILE_SHARDS", 1)
    yield


def test_a_done_partition_says_so_and_is_not_shown_as_new(product: Product, tmp_path: Path) -> None:
    partitions = completed(product, tmp_path / "in", 1)
    (key,) = partitions.keys
    for job, assets in (("transcribe_audio", TRANSCRIBE), ("publish_minutes", PUBLISH)):
        done = partitions.run(job, key)
        assert done.success
        said = "nothing to do: 1 of 1 files are up to date; set reprocess to force"
        assert [line for line in logged(product, done.run_id) if said in line] == [f"{key}: {said}."] * len(
            assets
        )
        for asset in assets:
            assert len(partitions.materializations(asset, key)) == 1
            (observation,) = partitions.observations(asset, key)
            assert observation.metadata["nothing to do"].value == said.partition(": ")[2]
            assert evaluations(done)[asset, key].passed
    assert product.transcriber.calls == 1
    assert partitions.status("transcripts") == (set(), set())


def test_reprocess_does_everything_again(product: Product, tmp_path: Path) -> None:
    partitions = completed(product, tmp_path / "in", 1)
    (key,) = partitions.keys
    job = product.definitions.resolve_job_def("transcribe_audio")
    config = {"ops": {"transcripts": {"config": {"reprocess": True}}}}
    done = job.execute_in_process(config, instance=product.instance, partition_key=key)
    assert done.success
    assert product.transcriber.calls == 2
    assert len(partitions.materializations("transcripts", key)) == 2


def test_a_backfill_counts_what_is_up_to_date_as_done_with_the_same_data_version(
    product: Product, tmp_path: Path
) -> None:
    partitions = completed(product, tmp_path / "in", 1)
    (key,) = partitions.keys
    partitions.run("transcribe_audio", key, **{"dagster/backfill": "abc"})
    again, first = partitions.materializations("transcripts", key)
    assert "nothing to do" in again.metadata
    assert again.tags
    assert first.tags
    assert again.tags["dagster/data_version"] == first.tags["dagster/data_version"]


@pytest.mark.parametrize(
    ("variable", "value", "calls", "redone", "publish"),
    [
        ("STT_MODEL", "tiny", 2, {"transcripts", "speaker_turns"}, {"meeting_minutes", "notifications"}),
        ("STT_LANGUAGE", "en", 2, {"transcripts", "speaker_turns"}, {"meeting_minutes", "notifications"}),
        ("STT_DIARIZER", "none", 1, {"speaker_turns"}, {"meeting_minutes", "notifications"}),
        ("STT_DEVICE", "cpu", 1, set(), set()),  # the same result at another speed
    ],
)
def test_results_of_other_options_are_stale_and_made_again(
    product: Product,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    calls: int,
    redone: set[str],
    publish: set[str],
) -> None:
    partitions = completed(product, tmp_path / "in", 2)
    key, other = partitions.keys
    monkeypatch.setenv(variable, value)
    assert partitions.run("transcribe_audio", key).success
    assert partitions.run("publish_minutes", key).success
    assert product.transcriber.calls == 1 + calls
    for asset in (*TRANSCRIBE, *PUBLISH):
        newest, *older = partitions.materializations(asset, key)
        assert len(older) == (asset in redone | publish), asset
        if older and asset != "notifications":
            assert newest.tags and older[0].tags
            assert newest.tags["dagster/data_version"] != older[0].tags["dagster/data_version"]
        assert len(partitions.materializations(asset, other)) == 1
    figures = progress(product.database, 1)
    assert (figures.completed, figures.pending) == (2, 0)


def test_one_run_over_both_stages_makes_what_is_stale_in_each(product: Product, tmp_path: Path) -> None:
    partitions = completed(product, tmp_path / "in", 1)
    (key,) = partitions.keys
    Rows(product.database).change(tables.summaries, fingerprint="another")
    job = product.definitions.resolve_implicit_global_asset_job_def()
    done = job.execute_in_process(
        instance=product.instance,
        partition_key=key,
        asset_selection=[dg.AssetKey(asset) for asset in (*TRANSCRIBE, *PUBLISH)],
    )
    assert done.success
    counts = {asset: len(partitions.materializations(asset, key)) for asset in (*TRANSCRIBE, *PUBLISH)}
    assert counts == {**dict.fromkeys(TRANSCRIBE, 1), **dict.fromkeys(PUBLISH, 2)}


@pytest.mark.usefixtures("large_shards")
def test_a_shard_with_results_of_different_options_shows_how_many_are_stale(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    product.transcriber.failures = [UnreadableError("it is broken")]
    partitions = completed(product, tmp_path / "in", 3)
    (key,) = partitions.keys
    monkeypatch.setenv("STT_MODEL", "tiny")
    retry(product.database, 1, max_file_bytes=MAX_BYTES)
    product.run_until("transcribe_audio")
    newest, older = partitions.materializations("transcripts", key)
    assert str(newest.metadata["stale"].value).startswith("2 of 3 files were made with another model")
    assert "stale" not in older.metadata
    assert newest.tags and older.tags
    assert newest.tags["dagster/data_version"] != older.tags["dagster/data_version"]
    assert partitions.run("transcribe_audio", key).success
    newest = partitions.materializations("transcripts", key)[0]
    assert "stale" not in newest.metadata
    assert product.transcriber.calls == 3 + 1 + 2


def test_the_launchpad_describes_reprocess() -> None:
    (field,) = ShardConfig.to_config_schema().as_field().config_type.fields.values()  # type: ignore[attr-defined]
    assert "also those that are up to date" in str(field.description)


def test_minutes_of_another_summarizer_are_stale(product: Product, tmp_path: Path) -> None:
    """There is one summarizer only, so its row is given another fingerprint; one that is not known is not stale."""
    partitions = completed(product, tmp_path / "in", 1)
    (key,) = partitions.keys
    rows = Rows(product.database)
    for fingerprint, count in (("another", 2), (None, 2)):
        rows.change(tables.summaries, fingerprint=fingerprint)
        assert partitions.run("publish_minutes", key).success
        assert len(partitions.materializations("meeting_minutes", key)) == count


def test_rows_from_before_fingerprints_are_up_to_date(product: Product, tmp_path: Path) -> None:
    partitions = completed(product, tmp_path / "in", 1)
    Rows(product.database).change(tables.transcriptions, fingerprint=None, speakers_fingerprint=None)
    assert partitions.run("transcribe_audio", *partitions.keys).success
    assert product.transcriber.calls == 1


def test_a_new_batch_does_not_make_partitions_of_others_stale(product: Product, tmp_path: Path) -> None:
    first = completed(product, tmp_path / "first", 1)
    completed(product, tmp_path / "second", 1)
    resolver = stale_status(product)
    for asset in (*TRANSCRIBE, *PUBLISH):
        causes = resolver.get_stale_causes(dg.AssetKey(asset), first.keys[0])
        assert resolver.get_status(dg.AssetKey(asset), first.keys[0]) == StaleStatus.FRESH, causes


def test_new_transcripts_make_the_minutes_stale(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partitions = completed(product, tmp_path / "in", 1)
    (key,) = partitions.keys
    monkeypatch.setenv("STT_MODEL", "tiny")
    partitions.run("transcribe_audio", key)
    resolver = stale_status(product)
    assert resolver.get_status(dg.AssetKey("meeting_minutes"), key) == StaleStatus.STALE
    assert resolver.get_status(dg.AssetKey("speaker_turns"), key) == StaleStatus.FRESH


def test_a_broken_recording_fails_its_partition_and_no_other(product: Product, tmp_path: Path) -> None:
    partitions = new_batch(product, tmp_path / "in", 3)
    product.transcriber.failures = [UnreadableError("it is broken")]
    broken, *good = partitions.keys
    (request,) = product.tick()
    done = product.run(request)
    assert not done.success
    run = product.instance.get_run_by_id(done.run_id)
    assert run is not None
    assert run.tags[FAILED_RECORDINGS_TAG] == "1"
    (step,) = [event for event in done.all_events if event.is_step_failure]
    assert step.step_key == "speaker_turns"
    failure = step.step_failure_data.user_failure_data
    assert failure is not None
    assert str(failure.description).startswith("1 of 3 partitions have no result")
    assert f"{broken}: 0.wav: it is broken" in str(failure.description)

    assert partitions.status("audio_files") == (set(), set())
    for asset in ("transcripts", "speaker_turns"):
        assert partitions.status(asset) == ({broken}, set())
        assert not evaluations(done)[asset, broken].passed
        assert "it is broken" in str(evaluations(done)[asset, broken].description)
        # the graph shows the severity of the newest evaluation
        assert evaluations(done)[asset, good[0]].severity == dg.AssetCheckSeverity.ERROR
        assert evaluations(done)[asset, good[0]].passed

    # the publish stage is not to blame: its run succeeds, and says why there are no minutes
    (request,) = product.tick()
    done = product.run(request)
    assert done.success
    for asset in PUBLISH:
        assert partitions.status(asset) == (set(), {broken})
        assert "it is broken" in str(evaluations(done)[asset, broken].description)
        (observation,) = partitions.observations(asset, broken)
        assert "it is broken" in str(observation.metadata["not materialized"].value)
    assert any("it is broken" in line for line in logged(product, done.run_id, level=30))
    product.run_until("report_batch")
    figures = progress(product.database, 1)
    assert (figures.status, figures.completed, figures.failed, figures.error) == ("completed", 2, 1, None)

    # a user runs them again: the one that failed is tried, and the others do not turn red
    product.transcriber.failures = [UnreadableError("still broken")]
    done = partitions.run("transcribe_audio", *partitions.keys)
    assert not done.success
    assert partitions.status("audio_files") == (set(), set())
    assert partitions.status("transcripts") == ({broken}, set())
    assert product.transcriber.calls == 4
    assert partitions.run("transcribe_audio", broken).success
    assert partitions.status("transcripts") == (set(), set())


def test_a_user_who_runs_the_second_stage_of_a_broken_recording_is_told(
    product: Product, tmp_path: Path
) -> None:
    partitions = new_batch(product, tmp_path / "in", 1)
    product.transcriber.failures = [UnreadableError("it is broken")]
    for request in product.tick():
        product.run(request)
    done = partitions.run("publish_minutes", *partitions.keys)
    assert not done.success
    assert any("it is broken" in line for line in logged(product, done.run_id, level=30))


def test_a_file_that_is_tried_again_does_not_fail_the_run(product: Product, tmp_path: Path) -> None:
    partitions = new_batch(product, tmp_path / "in", 2)
    product.transcriber.failures = [DownloadError("no answer")]
    waiting, _ = partitions.keys
    (request,) = product.tick()
    done = product.run(request)
    assert done.success
    assert partitions.status("transcripts") == (set(), {waiting})
    assert evaluations(done)["transcripts", waiting].severity == dg.AssetCheckSeverity.WARN
    Rows(product.database).change(tables.shards, not_before=None)
    product.run_until("report_batch")
    assert partitions.status("transcripts") == (set(), set())


@pytest.mark.usefixtures("large_shards")
def test_a_large_shard_with_a_broken_file_is_materialized_and_shows_it(
    product: Product, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    partitions = new_batch(product, tmp_path / "in", 3)
    (key,) = partitions.keys
    product.transcriber.failures = [UnreadableError("it is broken")]
    (request,) = product.tick()
    done = product.run(request)
    assert done.success
    assert partitions.status("transcripts") == (set(), set())
    (materialization,) = partitions.materializations("transcripts", key)
    assert materialization.metadata["files failed"].value == 1
    assert "it is broken" in str(materialization.metadata["failures"].value)
    evaluation = evaluations(done)["transcripts", key]
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.ERROR)
    # its recordings are in the compute log, not in Postgres; failures are in both
    assert not [line for line in logged(product, done.run_id) if " done, " in line]
    assert capfd.readouterr().out.count(".wav done, ") == 2 * 2 + 3
    assert [line for line in logged(product, done.run_id, level=30) if "0.wav failed for good" in line]


def test_a_run_logs_each_recording(
    product: Product, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    partitions = new_batch(product, tmp_path / "in", 2)
    product.transcriber.failures = [UnreadableError("it is broken")]
    (request,) = product.tick()
    lines = logged(product, product.run(request).run_id)
    # one event is a row in Postgres, so there is one a stage; the other steps' lines are in the compute log
    (done,) = [line for line in lines if " done, " in line]
    assert done.startswith(f"{partitions.keys[1]}: 1.wav done, ")
    assert "s of work on 0.2 s of audio, real-time factor " in done
    assert capfd.readouterr().out.count("1.wav done, ") == 2
    assert f"{partitions.keys[0]}: 0.wav failed for good (unreadable): it is broken" in lines


def test_partitions_are_materialized_while_the_step_works(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stt_pipeline.batches.execution.finished_shards.EVENTS_SECONDS", 0.0)
    monkeypatch.setattr("stt_pipeline.batches.execution.file_loop.WRITE_SECONDS", 0.0)
    partitions = new_batch(product, tmp_path / "in", 3)
    seen: list[int] = []

    def count() -> None:
        seen.append(sum(len(partitions.materializations("transcripts", key)) for key in partitions.keys))
        product.transcriber.meanwhile = count

    product.transcriber.meanwhile = count
    product.run_until("transcribe_audio")
    assert len(seen) == 3
    assert seen[-1] >= 1


def test_a_partition_of_another_run_is_not_shown_as_materialized(product: Product, tmp_path: Path) -> None:
    partitions = new_batch(product, tmp_path / "in", 2)
    (request,) = product.tick()
    runs: list[dg.ExecuteInProcessResult] = []

    def by_hand() -> None:
        runs.append(partitions.run("transcribe_audio", partitions.keys[0]))

    product.transcriber.meanwhile = by_hand
    assert product.run(request).success
    (refused,) = runs
    assert not refused.success  # it has no other partition
    for key in partitions.keys:
        (only,) = partitions.materializations("transcripts", key)
        assert "skipped" not in only.metadata
