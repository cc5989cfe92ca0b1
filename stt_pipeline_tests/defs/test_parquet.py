"""Parquet through Dagster: from a batch's files to a folder or a bucket, compacted after the report, and back into assets."""

from pathlib import Path

import boto3
import dagster as dg
import pandas as pd
import pytest

from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.batches.requests.retry import retry
from stt_pipeline.defs.assets.meeting_minutes import meeting_minutes
from stt_pipeline.defs.io_managers import ParquetIOManager
from stt_pipeline.defs.partitions import audio_partitions
from stt_pipeline.errors import NotFoundError, UnreadableError
from stt_pipeline.settings import Settings
from stt_pipeline_tests.batches.recordings import MAX_BYTES, write_tone
from stt_pipeline_tests.defs.conftest import Product


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings are not waited for, though they were just written."""
    monkeypatch.setenv("STT_QUIET_PERIOD_SECONDS", "0")


def _keys(bucket: str) -> list[str]:
    found = boto3.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    return sorted(entry["Key"] for entry in found)


def _metadata(done: dg.ExecuteInProcessResult) -> dict[str, object]:
    (event,) = done.asset_materializations_for_node("compacted_datasets")
    return {name: value.value for name, value in event.metadata.items()}


@dg.asset(partitions_def=audio_partitions)
def titles(context: dg.AssetExecutionContext, meeting_minutes: pd.DataFrame) -> None:
    """What a user's own asset would do with the minutes of a shard."""
    context.add_output_metadata({"titles": len(meeting_minutes["title"])})


@dg.asset
def everybody(meeting_minutes: pd.DataFrame) -> list[str]:
    """The same for all shards together."""
    return [str(uri) for uri in meeting_minutes["uri"]]


@pytest.mark.slow
def test_a_batch_to_a_bucket_and_back_into_assets(
    product: Product, tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STT_DATA_URI", f"s3://{bucket}/data")
    for name in ("a.wav", "b.wav"):
        write_tone(tmp_path / "in" / name, 0.2)
    (tmp_path / "in" / "c.wav").write_text("this is text")
    batch = create_batch(product.database, BatchRequest(source_path=str(tmp_path / "in")))
    done = product.run_until("report_batch")
    key = f"{batch.id:06d}"
    of_shards = [
        f"data/{dataset}/batch={key}/{key}-{number:06d}.parquet"
        for dataset in ("minutes", "transcripts")
        for number in range(3)
    ]
    large = [
        f"data/compacted/{dataset}/batch={key}/part-00000.parquet" for dataset in ("minutes", "transcripts")
    ]
    assert _keys(bucket) == sorted(of_shards + large)
    metadata = _metadata(done)
    assert (metadata["transcripts files"], metadata["transcripts rows"], metadata["minutes rows"]) == (
        1,
        2,
        2,
    )
    assert metadata["dagster/row_count"] == 2
    assert metadata["minutes path"] == f"s3://{bucket}/data/compacted/minutes/batch={key}"
    assert f"read_parquet('s3://{bucket}/data/compacted/transcripts/**/*.parquet'" in str(metadata["query"])

    shards = product.partitions("audio")
    resources = {
        "minutes_parquet": ParquetIOManager(dataset="minutes"),
        "database": None,
        "settings": None,
        "sources": None,
        "summarizers": None,
    }
    ran = dg.materialize(
        [meeting_minutes, titles],
        selection=[titles],
        partition_key=shards[0],
        resources=resources,
        instance=product.instance,
    )
    (event,) = ran.asset_materializations_for_node("titles")
    assert event.metadata["titles"].value == 1
    ran = dg.materialize(
        [meeting_minutes, everybody], selection=[everybody], resources=resources, instance=product.instance
    )
    assert [uri[-5:] for uri in ran.output_for_node("everybody")] == ["a.wav", "b.wav"]

    boto3.client("s3").delete_object(Bucket=bucket, Key=of_shards[1])
    ran = dg.materialize(
        [meeting_minutes, everybody],
        selection=[everybody],
        resources=resources,
        instance=product.instance,
        raise_on_error=False,
    )
    (failed,) = [event for event in ran.all_events if event.is_step_failure]
    assert failed.step_failure_data.error is not None
    cause = failed.step_failure_data.error.cause
    assert cause is not None
    assert NotFoundError.__name__ in str(cause.cls_name)
    assert "materialize it first" in cause.message


@pytest.mark.slow
def test_compaction_follows_the_report_and_what_is_done_again(product: Product, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        write_tone(tmp_path / "in" / name, 0.2)
    product.transcriber.failures = [UnreadableError("broken")]
    batch = create_batch(product.database, BatchRequest(source_path=str(tmp_path / "in")))
    product.run_until("scan_source")
    by_hand = dg.RunRequest(partition_key=f"{batch.id:06d}:in", job_name="report_batch")
    early = product.run(by_hand)
    assert early.success
    assert _metadata(early) == {
        "skipped": f"Batch {batch.id} is processing: its files are compacted when it ends."
    }
    done = product.run_until("report_batch")
    assert _metadata(done)["transcripts rows"] == 1
    assert progress(product.database, batch.id).status == "completed"

    retry(product.database, batch.id, max_file_bytes=MAX_BYTES)
    assert _metadata(product.run_until("report_batch"))["transcripts rows"] == 2
    rows = pd.read_parquet(Path(Settings().data_root) / "compacted" / "transcripts")
    assert [uri[-5:] for uri in rows["uri"]] == ["a.wav", "b.wav"]

    # a folder that cannot be written: the report stands, the run is red, and it can be done again
    broken = Path(Settings().data_root) / "compacted"
    broken.rename(tmp_path / "moved")
    broken.write_text("a file")
    failed = product.run(by_hand)
    assert not failed.success
    assert len(failed.asset_materializations_for_node("batch_report")) == 1
    figures = progress(product.database, batch.id)
    assert (figures.status, figures.error) == ("completed", None)
    broken.unlink()
    assert _metadata(product.run(by_hand))["transcripts rows"] == 2
