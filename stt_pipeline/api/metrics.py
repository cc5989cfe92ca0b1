"""Metrics for Prometheus: requests are counted here; batches and shards are read from the store at each scrape."""

import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stt_pipeline.batches.execution.dispatch import HEARTBEAT
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches, heartbeats, shards


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
        """Return the batches by status, the shards in flight and the dispatcher's last tick."""
        with self._database.snapshot() as connection:
            by_status = batches.count_by_status(connection)
            in_flight = shards.in_flight(connection)
            last_tick = heartbeats.last_beat(connection, HEARTBEAT)
        statuses = GaugeMetricFamily("stt_batches", "Batches by status.", labels=["status"])
        for status, count in by_status.items():
            statuses.add_metric([status], count)
        yield statuses
        total = sum(count for count, _ in in_flight.values())
        yield GaugeMetricFamily("stt_shards_in_flight", "Shards that are dispatched or in progress.", total)
        if last_tick:
            yield GaugeMetricFamily(
                "stt_dispatcher_last_tick_seconds",
                "When the dispatcher last ticked, in seconds since 1970.",
                last_tick.timestamp(),
            )
