"""Metrics for Prometheus: requests are counted here; the queue, files and mails are read from the store at each scrape.

The queries sum over the counters of shards of batches that have not ended; no query counts files.
"""

import time
from collections.abc import Iterable
from datetime import timedelta
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stt_pipeline.batches.execution.dispatch import HEARTBEAT
from stt_pipeline.errors import ErrorClass
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batch_stats, batches, heartbeats, shards
from stt_pipeline.store.queue.batch_stats import ShardSums
from stt_pipeline.store.results import emails


class Metrics:
    """The metrics of one app, in its own registry."""

    def __init__(self, database: Database) -> None:
        """Create the registry, with all counts at zero."""
        self.registry = CollectorRegistry()
        self.registry.register(_Store(database))
        self._requests = Counter(
            "stt_api_requests",
            "Requests by endpoint and status.",
            ["endpoint", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "stt_api_request_seconds",
            "Time to the first byte of the response, by endpoint.",
            ["endpoint"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
            registry=self.registry,
        )

    def count(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a request, with the ``seconds`` to the first byte of its response."""
        self._requests.labels(endpoint, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)


class MetricsMiddleware:
    """Counts every request by the name of its endpoint; the number of URL paths would be unlimited."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Wrap ``app``."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        seconds: float | None = None

        async def send_and_measure(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                # not the end: the client decides how long streams and downloads take
                status, seconds = message["status"], time.perf_counter() - began
            await send(message)

        try:
            await self._app(scope, receive, send_and_measure)
        finally:
            route = scope.get("route")
            name = route.name if route else "none"
            self._metrics.count(name, status, time.perf_counter() - began if seconds is None else seconds)


class _Store(Collector):
    """Reads the store at each scrape."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that the registration reads no database."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Return the figures of the store."""
        with self._database.snapshot() as connection:
            by_status = batches.count_by_status(connection)
            in_flight = shards.in_flight(connection)
            last_tick = heartbeats.last_beat(connection, HEARTBEAT)
            sums = batch_stats.sums_of_open_batches(connection)
            wait = batch_stats.longest_wait(connection)
            unsent = emails.count_unsent(connection)
            sent = emails.count_sent_since(connection, timedelta(hours=1))
        yield _by_status("stt_batches", "Batches by status.", by_status.items())
        yield from _files(sums)
        yield GaugeMetricFamily(
            "stt_queue_age_seconds",
            "Longest time for which a batch with ready shards has waited for a run or for its next file.",
            wait or 0.0,
        )
        yield _by_status(
            "stt_mails_unsent", "Mails that are not known to be sent, by status.", unsent.items()
        )
        yield GaugeMetricFamily("stt_mails_sent_last_hour", "Mails that were sent in the last hour.", sent)
        total = sum(count for count, _ in in_flight.values())
        yield GaugeMetricFamily("stt_shards_in_flight", "Shards that are dispatched or in progress.", total)
        if last_tick:
            yield GaugeMetricFamily(
                "stt_dispatcher_last_tick_seconds",
                "When the dispatcher last ticked, in seconds since 1970.",
                last_tick.timestamp(),
            )


def _by_status(name: str, description: str, counts: Iterable[tuple[str, int]]) -> Metric:
    metric = GaugeMetricFamily(name, description, labels=["status"])
    for status, count in counts:
        metric.add_metric([status], count)
    return metric


def _files(sums: ShardSums) -> Iterable[Metric]:
    files = GaugeMetricFamily(
        "stt_files",
        "Files of batches that have not ended, by state; failed ones also by error class.",
        labels=["state", "error_class"],
    )
    files.add_metric(["completed", ""], sums.completed)
    files.add_metric(["pending", ""], sums.total - sums.completed - sums.failed)
    for error_class in get_args(ErrorClass):
        files.add_metric(["failed", error_class], sums.failures_by_class.get(error_class, 0))
    yield files
    yield GaugeMetricFamily(
        "stt_audio_hours",
        "Hours of audio processed in batches that have not ended.",
        sums.audio_seconds / 3600,
    )
