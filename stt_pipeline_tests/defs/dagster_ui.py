"""Actions of a user in the Dagster UI, through the GraphQL API that its pages use."""

import json
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LOCATION = {"repositoryLocationName": "stt_pipeline", "repositoryName": "__repository__"}

_LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
_BACKFILL = """
mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
_RUNS = """
query ($filter: RunsFilter) {
  runsOrError(filter: $filter) {
    ... on Runs {
      results { runId status jobName startTime tags { key value } assetSelection { path } }
    }
  }
}
"""
_BACKFILL_STATUS = """
query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status error { message } } }
}
"""
_SENSOR = "query ($s: SensorSelector!) { sensorOrError(sensorSelector: $s) { ... on Sensor { id sensorState { id } } } }"
_STOP = "mutation ($id: String!) { stopSensor(id: $id) { __typename ... on PythonError { message } } }"
_START = "mutation ($s: SensorSelector!) { startSensor(sensorSelector: $s) { __typename ... on PythonError { message } } }"
_CHECKS = """
query ($asset: AssetKeyInput!, $check: String!, $limit: Int!) {
  assetCheckExecutions(assetKey: $asset, checkName: $check, limit: $limit) {
    runId status evaluation { success severity description partition }
  }
}
"""
_CHECK_PARTITIONS = """
query ($asset: AssetKeyInput!, $check: String!) {
  assetNodeOrError(assetKey: $asset) {
    ... on AssetNode {
      assetCheckOrError(checkName: $check) {
        ... on AssetCheck {
          partitionStatuses {
            ... on AssetCheckDefaultPartitionStatuses { succeededPartitions failedPartitions }
          }
        }
      }
    }
  }
}
"""
_MATERIALIZATIONS = """
query ($asset: AssetKeyInput!, $partitions: [String!]) {
  assetOrError(assetKey: $asset) {
    ... on Asset {
      assetMaterializations(partitions: $partitions, limit: 5) {
        runId partition
        metadataEntries {
          label
          ... on IntMetadataEntry { intValue }
          ... on FloatMetadataEntry { floatValue }
          ... on TextMetadataEntry { text }
          ... on MarkdownMetadataEntry { mdStr }
        }
      }
    }
  }
}
"""
_PARTITIONS = """
query ($asset: AssetKeyInput!) {
  assetNodeOrError(assetKey: $asset) {
    ... on AssetNode {
      assetPartitionStatuses {
        ... on DefaultPartitionStatuses { materializedPartitions failedPartitions materializingPartitions }
      }
    }
  }
}
"""
_EVENTS = """
query ($id: ID!) {
  logsForRun(runId: $id) {
    ... on EventConnection { events { __typename ... on MessageEvent { message } ... on ErrorEvent { error { message } } } }
  }
}
"""


@dataclass(frozen=True)
class DagsterUI:
    """A Dagster webserver at ``url``."""

    url: str

    def ask(self, query: str, **variables: Any) -> Any:
        """Return the data of a query; an error of the API fails the test."""
        request = urllib.request.Request(
            f"{self.url}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def launch_job(self, job: str, config: dict[str, Any]) -> str:
        """Launch a job from its launchpad and return the run's id."""
        return self._launch(
            {"selector": {**LOCATION, "jobName": job}, "runConfigData": config, "mode": "default"}
        )

    def materialize(self, assets: Sequence[str], partition: str, config: dict[str, Any] | None = None) -> str:
        """Press Materialize on one partition and return the run's id."""
        selector = {
            **LOCATION,
            "jobName": "__ASSET_JOB",
            "assetSelection": [{"path": [asset]} for asset in assets],
        }
        tags = [{"key": "dagster/partition", "value": partition}]
        return self._launch(
            {
                "selector": selector,
                "runConfigData": config or {},
                "mode": "default",
                "executionMetadata": {"tags": tags},
            }
        )

    def backfill(self, assets: Sequence[str], partitions: Sequence[str]) -> str:
        """Launch a backfill over partitions and return its id."""
        params = {
            "assetSelection": [{"path": [asset]} for asset in assets],
            "partitionNames": list(partitions),
        }
        answer = self.ask(_BACKFILL, params=params)["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return str(answer["backfillId"])

    def wait_for_run(self, run_id: str, seconds: float = 180) -> str:
        """Wait until a run has ended and return its status."""
        ends = {"SUCCESS", "FAILURE", "CANCELED"}
        return _until(
            lambda: status if (status := self.runs(runIds=[run_id])[0]["status"]) in ends else None, seconds
        )

    def wait_for_backfill(self, backfill_id: str, seconds: float = 400) -> str:
        """Wait until a backfill has ended and return its status."""

        def ended() -> str | None:
            found = self.ask(_BACKFILL_STATUS, id=backfill_id)["partitionBackfillOrError"]
            return (
                found["status"] if found["status"].startswith(("COMPLETED", "FAILED", "CANCELED")) else None
            )

        return _until(ended, seconds)

    def switch_sensor(self, name: str, *, on: bool) -> None:
        """Switch a sensor on or off."""
        selector = {**LOCATION, "sensorName": name}
        if on:
            answer = self.ask(_START, s=selector)["startSensor"]
        else:
            answer = self.ask(_STOP, id=self.ask(_SENSOR, s=selector)["sensorOrError"]["id"])["stopSensor"]
        assert answer["__typename"] != "PythonError", answer

    def runs(self, **wanted: Any) -> list[dict[str, Any]]:
        """Return the runs that a filter lets through, newest first; tags as a dict."""
        runs = self.ask(_RUNS, filter=wanted)["runsOrError"]["results"]
        return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in runs]

    def checks(self, asset: str, check: str, limit: int = 50) -> list[dict[str, Any]]:
        """Return the last evaluations of a check, newest first."""
        answer = self.ask(_CHECKS, asset={"path": [asset]}, check=check, limit=limit)
        return list(answer["assetCheckExecutions"])

    def check_partitions(self, asset: str, check: str) -> tuple[set[str], set[str]]:
        """Return the partitions that a check's page shows as passed and as failed."""
        answer = self.ask(_CHECK_PARTITIONS, asset={"path": [asset]}, check=check)
        statuses = answer["assetNodeOrError"]["assetCheckOrError"]["partitionStatuses"]
        return set(statuses["succeededPartitions"]), set(statuses["failedPartitions"])

    def metadata(self, asset: str, partition: str) -> dict[str, Any]:
        """Return what the newest materialization of a partition shows, by label."""
        found = self.ask(_MATERIALIZATIONS, asset={"path": [asset]}, partitions=[partition])
        (newest, *_) = found["assetOrError"]["assetMaterializations"]
        values = ("intValue", "floatValue", "text", "mdStr")
        return {
            entry["label"]: next((entry[name] for name in values if name in entry), None)
            for entry in newest["metadataEntries"]
        }

    def partition_statuses(self, asset: str, partitions: Sequence[str]) -> dict[str, str]:
        """Return how the page of an asset shows each partition: MATERIALIZED, FAILED, MATERIALIZING or MISSING."""
        found = self.ask(_PARTITIONS, asset={"path": [asset]})["assetNodeOrError"]["assetPartitionStatuses"]
        shown = {
            key: status.removesuffix("Partitions").upper() for status, keys in found.items() for key in keys
        }
        return {partition: shown.get(partition, "MISSING") for partition in partitions}

    def messages(self, run_id: str) -> list[str]:
        """Return the messages in a run's log."""
        events = self.ask(_EVENTS, id=run_id)["logsForRun"]["events"]
        return [str(event["message"]) for event in events if event.get("message")]

    def errors(self, run_id: str) -> str:
        """Return the messages of a run's events about errors."""
        events = self.ask(_EVENTS, id=run_id)["logsForRun"]["events"]
        return "\n".join(str(event["error"]["message"]) for event in events if event.get("error"))

    def _launch(self, params: dict[str, Any]) -> str:
        answer = self.ask(_LAUNCH, params=params)["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])


def _until(found: Any, seconds: float) -> Any:
    end = time.monotonic() + seconds
    while (value := found()) is None:
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.3)
    return value
