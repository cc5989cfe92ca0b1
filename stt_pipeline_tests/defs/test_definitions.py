"""The definitions as Dagster sees them: they load anywhere, and the graph changes only on purpose."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from syrupy.assertion import SnapshotAssertion

from stt_pipeline.definitions import build_definitions, defs
from stt_pipeline.defs.jobs import write_batch_row
from stt_pipeline.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
HEAVY = (
    "torch",
    "transformers",
    "ctranslate2",
    "faster_whisper",
    "kiwipiepy",
    "av",
    "boto3",
    "pandas",
    "pyarrow",
    "scipy",
)


def test_the_asset_graph(snapshot: SnapshotAssertion) -> None:
    graph = defs.resolve_asset_graph()
    shown = {}
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        spec = node.assets_def.specs_by_key[key]
        shown[key.to_user_string()] = {
            "deps": [
                f"{dep.asset_key.to_user_string()}"
                + (f" ({type(dep.partition_mapping).__name__})" if dep.partition_mapping else "")
                for dep in spec.deps
            ],
            "partitions": node.partitions_def.name if node.partitions_def else None,
            "group": node.group_name,
            "kinds": sorted(node.kinds),
            "pools": sorted(node.pools or ()),
            "backfill": str(node.backfill_policy.max_partitions_per_run) if node.backfill_policy else None,
            "description": node.description,
            "checks": {
                check.name: check.description
                for check in node.assets_def.check_specs
                if check.asset_key == key
            },
        }
    assert shown == snapshot


def test_the_jobs_the_sensor_and_the_schedule(snapshot: SnapshotAssertion) -> None:
    repository = defs.get_repository_def()
    jobs = {job.name: job.description for job in repository.get_all_jobs() if not job.name.startswith("__")}
    sensors = {
        sensor.name: [target.job_name for target in sensor.targets] for sensor in repository.sensor_defs
    }
    schedules = {
        schedule.name: f"{schedule.job_name} {schedule.cron_schedule} {schedule.default_status.value}"
        for schedule in repository.schedule_defs
    }
    assert {"jobs": jobs, "sensors": sensors, "schedules": schedules} == snapshot


@pytest.mark.slow
def test_they_load_with_an_empty_environment_and_without_what_is_heavy() -> None:
    """The models are loaded where they are used; the base install has no torch at all."""
    script = (
        f"import sys, stt_pipeline.definitions\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", script],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_resources_are_replaced_by_plain_objects() -> None:
    marker = object()
    replaced = build_definitions({"notifiers": marker})
    assert replaced.resources is not None
    assert replaced.resources["notifiers"] is marker


@pytest.mark.parametrize("asset", ["audio_manifest", "audio_files"])
def test_a_run_without_a_database_says_what_is_missing(asset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STT_DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:9/none")
    monkeypatch.setattr("stt_pipeline.defs.resources.RECONNECT_SECONDS", 0.1)
    instance = dg.DagsterInstance.ephemeral()
    name = "batch" if asset == "audio_manifest" else "audio"
    instance.add_dynamic_partitions(name, ["000001"])
    job = defs.resolve_job_def("scan_source" if asset == "audio_manifest" else "transcribe_audio")
    with pytest.raises(dg.DagsterResourceFunctionError) as raised:
        job.execute_in_process(instance=instance, partition_key="000001")
    reason = str(raised.value.__cause__)
    assert "127.0.0.1, port 9" in reason
    assert "secret" not in reason


@pytest.mark.slow
def test_the_daily_maintenance_runs_in_the_time_zone_of_the_settings() -> None:
    script = "from stt_pipeline.defs.schedules import daily_maintenance; print(daily_maintenance.execution_timezone)"
    for zone, shown in (("America/Lima", "America/Lima"), ("Nowhere/At-all", "UTC")):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "STT_TIMEZONE": zone},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == shown


def test_the_launchpad_of_create_batch_opens_valid_with_a_source_to_replace() -> None:
    job = defs.resolve_job_def("create_batch")
    shown = job.run_config
    assert shown is not None
    assert shown["ops"]["write_batch_row"]["config"]["source_path"] == "/path/to/recordings"
    assert dg.validate_run_config(job, dict(shown))


def test_the_launchpad_of_create_batch_describes_every_field() -> None:
    def without_description(fields: Mapping[str, Any], path: str) -> list[str]:
        found = []
        for name, its in fields.items():
            found += [] if its.description else [f"{path}{name}"]
            found += without_description(getattr(its.config_type, "fields", {}), f"{path}{name}.")
        return found

    config = write_batch_row.config_schema.config_type
    assert len(config.fields) > 5
    assert without_description(config.fields, "") == []


def test_an_override_of_an_unknown_resource_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="There is no resource notifier_for"):
        build_definitions({"notifier_for": object()})
