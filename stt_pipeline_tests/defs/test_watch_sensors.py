"""The sensors that find new recordings, in a real instance: one bucket is polled, and one sends events to a queue."""

import threading
from functools import partial

import dagster as dg
import pytest

from stt_pipeline.audio.access import SourceAccess
from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.sources import Source
from stt_pipeline.audio.sqs import QueueAccess
from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.ingest.objects import IngestConfig
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests.batch_request import WatchRequest
from stt_pipeline.batches.requests.create import create_watch
from stt_pipeline.defs.resources import resources as defined_resources
from stt_pipeline.defs.sensors.s3_audio import poll_watches, s3_audio_sensor
from stt_pipeline.defs.sensors.s3_events import read_queues, s3_event_sensor
from stt_pipeline.defs.sensors.time_limit import within
from stt_pipeline.errors import SourceUnavailableError
from stt_pipeline.settings import Settings
from stt_pipeline.store import tables
from stt_pipeline.store.manifest import watches
from stt_pipeline.store.manifest.watches import Watch
from stt_pipeline_tests.defs.conftest import Product
from stt_pipeline_tests.rows import Rows


def _sources() -> AllowedSources:
    settings = Settings()
    return AllowedSources.for_users(settings.allowed_sources, SourceAccess.of(settings))


def _evaluate(product: Product, sensor: dg.SensorDefinition, sources: object | None = None) -> str:
    """Evaluate one tick of a sensor, and return its message."""
    resources = {"database": product.database, "settings": Settings(), "sources": sources or _sources()}
    result = sensor(dg.build_sensor_context(product.instance, resources=resources))
    assert isinstance(result, dg.SkipReason)
    return str(result.skip_message)


def _config(product: Product) -> IngestConfig:
    return IngestConfig.from_settings(Settings(), partial(product.instance.add_dynamic_partitions, "audio"))


def _row(product: Product, watch: Watch) -> Watch:
    with product.database.begin() as connection:
        return watches.get(connection, watch.id)


def _put(bucket: str, *keys: str) -> None:
    import boto3

    client = boto3.client("s3")
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=key.encode())


@pytest.mark.slow
def test_what_lies_in_a_bucket_becomes_a_batch_with_runs(product: Product, bucket: str) -> None:
    assert _evaluate(product, s3_audio_sensor, object()) == "No source is watched by polling."
    assert _evaluate(product, s3_event_sensor, object()) == "No source is watched through a queue."
    _put(bucket, "회의/a.wav", "회의/b c+d.wav", "notes.txt")
    watch = create_watch(
        product.database, WatchRequest(source_path=f"s3://{bucket}", batching="arrival"), allowed=_sources()
    )
    message = _evaluate(product, s3_audio_sensor)
    assert message == f"Watch {watch.id} ({bucket}): 2 new files in batch 1."
    keys = ["000001-000000:a.wav", "000001-000001:b_c_d.wav"]
    assert product.partitions("audio") == keys
    (request,) = product.tick()
    assert request.job_name == "transcribe_audio"
    assert request.tags["dagster/asset_partition_range_end"] == keys[-1]
    assert _evaluate(product, s3_audio_sensor) == "Nothing new at the watched sources."
    assert (_row(product, watch).files, _row(product, watch).error) == (2, None)


@pytest.mark.slow
def test_what_a_bucket_tells_its_queue_becomes_a_batch_with_runs(
    product: Product, bucket: str, aws: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    client = boto3.client("sqs")
    url = client.create_queue(QueueName=bucket)["QueueUrl"]
    arn = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    configuration = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    boto3.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=configuration
    )
    monkeypatch.setenv("STT_SQS_ENDPOINTS", aws)
    queues = QueueAccess.of(Settings())
    watch = create_watch(
        product.database,
        WatchRequest(source_path=f"s3://{bucket}", queue_url=url),
        allowed=_sources(),
        queues=queues,
    )
    _put(bucket, "회의/오전 a+b%.wav", "notes.txt")
    assert _evaluate(product, s3_audio_sensor) == "No source is watched by polling."
    message = _evaluate(product, s3_event_sensor)
    # S3 also sends a test event when notifications are configured
    assert message == f"{bucket}: 3 messages, 1 new files in batches 1."
    assert product.partitions("audio") == ["000001-000000:오전_a_b_.wav"]
    (request,) = product.tick()
    assert request.job_name == "transcribe_audio"
    with product.database.begin() as connection:
        watches.get(connection, watch.id)
    assert progress(product.database, 1).total_files == 1


@pytest.mark.slow
def test_a_queue_that_is_not_there_is_noted_and_others_are_read(
    product: Product, bucket: str, aws: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    url = boto3.client("sqs").create_queue(QueueName=bucket)["QueueUrl"]
    both = QueueAccess((aws,))
    gone, there = (
        create_watch(
            product.database,
            WatchRequest(source_path=f"s3://{bucket}", queue_url=queue_url),
            allowed=_sources(),
            queues=both,
        )
        for queue_url in (f"{aws}/123456789012/gone", url)
    )

    def read() -> str:
        access = QueueAccess.of(Settings())
        return read_queues(product.database, access, _sources(), _config(product), wait_seconds=1.0)

    # the setting was removed since
    assert read() == "The queues have nothing new."
    assert "STT_SQS_ENDPOINTS" in str(_row(product, there).error)
    monkeypatch.setenv("STT_SQS_ENDPOINTS", aws)
    read()
    assert "does not exist" in str(_row(product, gone).error)
    assert _row(product, there).error is None
    assert _row(product, there).looked_at


@pytest.mark.slow
def test_what_is_wrong_with_one_watch_is_noted_and_others_are_looked_at(
    product: Product, bucket: str
) -> None:
    _put(bucket, "a.wav")
    gone = create_watch(product.database, WatchRequest(source_path=f"s3://{bucket}"), allowed=_sources())
    Rows(product.database).change(tables.watches, source_path="s3://no-such-bucket")
    good = create_watch(
        product.database, WatchRequest(source_path=f"s3://{bucket}", name="good"), allowed=_sources()
    )
    assert _evaluate(product, s3_audio_sensor) == f"Watch {good.id} (good): 1 new files in batch 1."
    assert "does not exist" in str(_row(product, gone).error)
    # a batch that a run works on is not an error: the poll is repeated
    _put(bucket, "b.wav")
    with claimed_batch(product.database, 1, run_id="report", token=None, lease_seconds=60):
        _evaluate(product, s3_audio_sensor)
    assert _row(product, good).error is None
    assert _evaluate(product, s3_audio_sensor) == f"Watch {good.id} (good): 1 new files in batch 1."


@pytest.mark.slow
def test_a_source_that_hangs_does_not_block_the_tick(product: Product, bucket: str) -> None:
    watch = create_watch(product.database, WatchRequest(source_path=f"s3://{bucket}"), allowed=_sources())
    answer = threading.Event()

    class Hangs(AllowedSources):
        def open(self, source_path: str, file_pattern: str = "") -> Source:
            answer.wait()  # without a limit: the test ends only because the sensor does not wait for it
            raise SourceUnavailableError("too late")

    def poll() -> None:
        poll_watches(product.database, Hangs(()), _config(product), tick_seconds=0.5)

    poll()
    assert "No answer within" in str(_row(product, watch).error)
    poll()
    assert "still waiting for it" in str(_row(product, watch).error)
    answer.set()


def test_a_call_within_a_time_gives_what_it_gave() -> None:
    assert within(10, "right", lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        within(10, "wrong", lambda: 1 / 0)
    assert within(10, "wrong", lambda: 5) == 5


@pytest.mark.slow
def test_a_look_at_what_does_not_answer_ends_with_the_reason_and_runs_have_patience(
    product: Product, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = create_watch(product.database, WatchRequest(source_path=f"s3://{bucket}"), allowed=_sources())
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    _evaluate(product, s3_audio_sensor, defined_resources()["sources"])
    assert "Could not connect to the endpoint URL" in str(_row(product, watch).error)

    def tries(sources: AllowedSources) -> int:
        assert sources.access is not None
        return int(sources.access.s3().meta.config.retries["total_max_attempts"])

    with dg.build_resources({"sources": defined_resources()["sources"]}, product.instance) as of_a_sensor:
        assert tries(of_a_sensor.sources) == 3

    @dg.op
    def scan(sources: dg.ResourceParam[AllowedSources]) -> int:
        return tries(sources)

    @dg.job(resource_defs={"sources": defined_resources()["sources"]})
    def of_a_run() -> None:
        scan()

    assert of_a_run.execute_in_process(instance=product.instance).output_for_node("scan") == 6
