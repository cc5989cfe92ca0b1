"""Processes of `stt up` are killed or stopped while a batch runs, and the batch goes on by itself.

One stack serves all tests of this module; real signals, the demo model, and a batch of its own for each test. The limits
of time only end a test that fails: they are far above the minute that a recovery takes.
"""

import os
import signal
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psutil
import pytest

from stt_pipeline.audio.allowed import ALLOW_ALL
from stt_pipeline.batches.queries.progress import Progress, progress
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.cli.processes import orphans
from stt_pipeline.defs.worker_process import process_of
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database, is_disconnect
from stt_pipeline.store.queue import batch_stats, leases
from stt_pipeline.store.server.embedded import running_url
from stt_pipeline.store.server.postmaster import running_postmaster
from stt_pipeline.store.server.url import psycopg2_url
from stt_pipeline_tests.cli.up_process import Up, command_line, stopped_at_end
from stt_pipeline_tests.conftest import SAMPLES

pytestmark = pytest.mark.faults

FILES = 8
SECONDS = 20  # of each recording
LIMIT = 300.0  # seconds


def write_recordings(folder: Path) -> Path:
    """Write different recordings of speech."""
    folder.mkdir(parents=True)
    with wave.open(str(SAMPLES / "weekly-budget.wav")) as sample:
        parameters, frames = sample.getparams(), sample.readframes(SECONDS * sample.getframerate())
    for number in range(FILES):
        with wave.open(str(folder / f"회의-{number:02d}.wav"), "wb") as file:
            file.setparams(parameters)
            file.writeframes(frames + bytes(parameters.sampwidth * 160 * number))
    return folder


@dataclass
class Stack:
    """A running `stt up` and its database."""

    up: Up
    database: Database
    instance: dg.DagsterInstance

    def begin_batch(self, folder: Path) -> int:
        """Start a batch, and return its id when a run works on it and has finished no file."""
        request = BatchRequest(source_path=str(write_recordings(folder / "in")))
        batch_id = create_batch(self.database, request, allowed=ALLOW_ALL).id
        self.up.wait(lambda: bool(self.workers()), LIMIT)
        return batch_id

    def workers(self) -> list[psutil.Process]:
        """The processes of the runs that have claimed shards."""
        with self.database.begin() as connection:
            runs = [
                self.instance.get_run_by_id(run_id) for run_id in leases.holders(connection, tables.shards)
            ]
        found = [process_of(run) for run in runs if run]
        return [psutil.Process(process.pid) for process in found if process]

    def finish_batch(self, batch_id: int) -> None:
        """Wait until the batch is completed, and check that each file ended once."""
        deadline = time.monotonic() + LIMIT
        while (figures := self._progress(batch_id)) is None or not figures.is_over:
            assert time.monotonic() < deadline, (figures, self.up.said)
            assert self.up.process is not None
            assert self.up.process.poll() is None, self.up.said
            time.sleep(0.3)
        assert (figures.status, figures.completed, figures.failed) == ("completed", FILES, 0)
        with self.database.begin() as connection:
            counted = sum(files for _, files, _ in batch_stats.throughput_of(connection, batch_id))
        assert counted == FILES

    def _progress(self, batch_id: int) -> Progress | None:
        try:
            return progress(self.database, batch_id)
        except Exception as error:
            if is_disconnect(error):
                return None
            raise

    def postmaster(self) -> psutil.Process:
        running = running_postmaster(self.up.settings.postgres_folder)
        assert running is not None
        return psutil.Process(running.pid)

    def children(self) -> dict[str, psutil.Process]:
        """The webserver, the daemon and the code server."""
        names = {"grpc": "code-server", "dagster_webserver": "webserver", "dagster._daemon": "daemon"}
        return {
            name: process
            for process in orphans(self.up.home)
            for argument, name in names.items()
            if argument in command_line(process) and process.ppid() == self.pid
        }

    @property
    def pid(self) -> int:
        assert self.up.process is not None
        return self.up.process.pid


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stopped_at_end(Up(tmp_path_factory.mktemp("faults"))) as up:
        up.environment |= {"STT_MODEL": "demo", "STT_QUIET_PERIOD_SECONDS": "0"}
        up.start()
        url = running_url(up.settings)
        assert url is not None
        database = Database(url, reconnect_seconds=60)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("STT_DAGSTER_POSTGRES_URL", psycopg2_url(url))
            with dg.DagsterInstance.from_config(str(up.settings.dagster_home)) as instance:
                yield Stack(up, database, instance)
        database.dispose()


def test_a_killed_postmaster_is_started_again(stack: Stack, tmp_path: Path) -> None:
    batch_id = stack.begin_batch(tmp_path)
    before = stack.postmaster()
    before.kill()
    stack.up.wait(lambda: "The embedded Postgres ended." in stack.up.said, LIMIT)
    stack.finish_batch(batch_id)
    assert stack.postmaster().pid != before.pid


def test_a_killed_backend_costs_only_its_transactions(stack: Stack, tmp_path: Path) -> None:
    batch_id = stack.begin_batch(tmp_path)
    postmaster = stack.postmaster()
    backends = [child for child in postmaster.children() if "idle" in " ".join(command_line(child))]
    oldest = min(backends, key=psutil.Process.create_time)  # of a pool; others may end at any time
    oldest.kill()  # the server then ends all connections and does crash recovery
    stack.finish_batch(batch_id)
    assert stack.postmaster() == postmaster


def test_three_children_killed_at_once_are_restarted(stack: Stack, tmp_path: Path) -> None:
    batch_id = stack.begin_batch(tmp_path)
    before = stack.children()
    assert len(before) == 3
    for process in before.values():
        process.kill()
    stack.finish_batch(batch_id)
    after = stack.children()
    assert set(after) == set(before)
    assert {process.pid for process in after.values()}.isdisjoint(process.pid for process in before.values())


def test_a_worker_that_hangs_is_killed_and_its_files_are_processed(stack: Stack, tmp_path: Path) -> None:
    batch_id = stack.begin_batch(tmp_path)
    hung = stack.workers()
    for worker in hung:
        worker.send_signal(signal.SIGSTOP)
    stack.finish_batch(batch_id)
    stack.up.wait(lambda: not any(worker.is_running() for worker in hung), LIMIT)


def test_code_server_and_worker_killed_together(stack: Stack, tmp_path: Path) -> None:
    batch_id = stack.begin_batch(tmp_path)
    for process in [*stack.up.code_servers(), *stack.workers()]:
        process.kill()
    stack.finish_batch(batch_id)


def test_everything_killed_and_started_again(stack: Stack, tmp_path: Path) -> None:
    batch_id = stack.begin_batch(tmp_path)
    os.kill(stack.pid, signal.SIGKILL)
    stack.postmaster().kill()
    for process in orphans(stack.up.home):
        process.kill()
    assert stack.up.process is not None
    stack.up.process.wait()
    stack.up.start()
    stack.finish_batch(batch_id)
