"""The decoder's child can read its recording and do nothing else; what it suffers or answers costs that recording only."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from stt_pipeline import health
from stt_pipeline.audio.decode import decode, decode_blocks
from stt_pipeline.audio.probe import probe
from stt_pipeline.audio.sandbox.client import SHARED, DecoderServer, SharedDecoderServer
from stt_pipeline.audio.sandbox.container import Media
from stt_pipeline.audio.sandbox.messages import Request, TaskLimits
from stt_pipeline.audio.sandbox.packets import properties
from stt_pipeline.audio.sandbox.samples import sample_blocks
from stt_pipeline.audio.sandbox.task import DecoderTask
from stt_pipeline.errors import ConfigurationError, DecoderLostError, UnreadableError
from stt_pipeline_tests.audio.sound_files import CODECS, tone, write_sound, write_wav_header

PACKAGE = Path(__file__).parents[2] / "stt_pipeline"
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="seccomp, Landlock and /proc are of Linux")

ATTACKS = """
import json, os, signal, socket, sys, threading
from stt_pipeline.audio.sandbox import confinement
from stt_pipeline.audio.sandbox.messages import TaskLimits

walls, secret, target = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if not walls:  # a program could be started then, but could not open its libraries
    os.execv = lambda program, arguments: os.open(program, os.O_RDONLY)
    confinement._apply_landlock = confinement.apply_seccomp = lambda *_: False
listener = socket.create_server(("127.0.0.1", 0))
unconnected = socket.socket()
attacks = {
    "read a file": lambda: open(secret).read(),
    "write a file": lambda: open(secret + ".new", "w"),
    "write to an open file": lambda: os.write(opened, b"x"),
    "list a folder": lambda: os.listdir("/"),
    "read the environment of its parent": lambda: open(f"/proc/{target}/environ").read(),
    "make a socket": lambda: socket.socket(),
    "accept a connection": lambda: (listener.settimeout(1), listener.accept()),
    "fork": lambda: os.fork() or os._exit(0),
    "execute a program": lambda: os.execv("/bin/true", ["/bin/true"]),
    "start a thread": lambda: threading.Thread(target=print).start(),
    "stop another process": lambda: os.kill(target, signal.SIGCONT),
    "connect a socket that it has": lambda: unconnected.connect(listener.getsockname()),
    "raise its limits": lambda: __import__("resource").setrlimit(7, (64, 64)),
}
opened = os.open(secret, os.O_RDWR)
succeeded = []
on = confinement.confine(TaskLimits())
for name, attack in attacks.items():
    try:
        attack()
    except (OSError, RuntimeError, ValueError):
        continue
    succeeded.append(name)
sys.stdout.write(json.dumps([on, succeeded]))
"""


def attacked(tmp_path: Path, *, walls: bool) -> tuple[dict[str, bool], set[str]]:
    """Run the attacks in a confined process; return the measures that were on, and the attacks that succeeded."""
    secret = tmp_path / "secret"
    secret.write_text("password")
    secret.chmod(0o666)
    target = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        command = [sys.executable, "-c", ATTACKS, json.dumps(walls), str(secret), str(target.pid)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    finally:
        target.kill()
        target.wait()
    assert ended.returncode == 0, ended.stderr
    on, succeeded = json.loads(ended.stdout)
    return on, set(succeeded)


@on_linux
def test_a_confined_process_reaches_nothing(tmp_path: Path) -> None:
    on, succeeded = attacked(tmp_path, walls=True)
    if not all(on.values()):
        pytest.skip(f"this kernel has not all of {on}")
    assert not succeeded
    assert (tmp_path / "secret").read_text() == "password"


def test_limits_alone_allow_no_file_socket_process_or_thread(tmp_path: Path) -> None:
    _, succeeded = attacked(tmp_path, walls=False)
    kept_out = {
        *("read a file", "write a file", "write to an open file", "list a folder"),
        *("read the environment of its parent", "make a socket", "accept a connection", "raise its limits"),
    }
    assert not succeeded & kept_out
    assert (tmp_path / "secret").read_text() == "password"


@contextmanager
def served() -> Iterator[DecoderServer]:
    """A fork server of this test only."""
    server = DecoderServer()
    try:
        yield server
    finally:
        server.close()


@contextmanager
def stuck(server: DecoderServer, **limits: float) -> Iterator[tuple[DecoderTask, psutil.Process]]:
    """A task on a pipe into which nothing is written, and its child, which waits for data."""
    reader, writer = os.pipe()
    request = Request("probe", "a.wav", ".wav", 1, {}, TaskLimits(**limits))  # type: ignore[arg-type]
    try:
        with server.start(request, reader) as task:
            yield task, max(psutil.Process(server.pid).children(), key=lambda child: child.pid)
    finally:
        os.close(reader)
        os.close(writer)


def until(reached: Callable[[], object]) -> None:
    """Wait for something that happens in another process."""
    end = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.01)


@on_linux
def test_a_child_has_its_recording_and_nothing_of_its_parents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STT_DATABASE_URL", "postgresql://user:secret@host/db")
    with served() as server, stuck(server) as (_, other), stuck(server) as (_, child):
        for process in (psutil.Process(server.pid), other, child):
            environment = Path(f"/proc/{process.pid}/environ")
            if os.access(environment, os.R_OK):  # of a confined process only for root
                assert b"secret" not in environment.read_bytes()
        assert set(psutil.Process(server.pid).environ()) <= {
            *("LD_LIBRARY_PATH", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "LC_CTYPE")
        }
        status = Path(f"/proc/{child.pid}/status")
        until(lambda: "Seccomp:\t2" in status.read_text())
        assert "NoNewPrivs:\t1" in status.read_text()
        if os.geteuid() == 0:
            assert child.uids().effective != 0
            assert {int(link.name) for link in Path(f"/proc/{child.pid}/fd").iterdir()} == {0, 1, 2, 3, 4}
        limits = Path(f"/proc/{child.pid}/limits").read_text().splitlines()
        (memory,) = [line for line in limits if line.startswith("Max address space")]
        assert str(TaskLimits().memory_bytes) in memory


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_a_crash_is_an_error_of_its_file(number: signal.Signals) -> None:
    with served() as server, stuck(server) as (task, child):
        child.send_signal(number)
        with pytest.raises(
            UnreadableError, match=rf"a\.wav .* crashed on it \(signal {int(number)}, {number.name}\)"
        ):
            task.result()
        assert server.is_alive


def test_a_killed_child_is_no_fault_of_its_file() -> None:
    with served() as server, stuck(server) as (task, child):
        child.kill()
        with pytest.raises(DecoderLostError, match="was killed") as raised:
            task.result()
        assert raised.value.transient


def test_a_child_that_hangs_is_given_up_and_ended() -> None:
    with served() as server:
        with (
            stuck(server, stall_seconds=0.2) as (task, child),
            pytest.raises(UnreadableError, match="given up"),
        ):
            task.result()
        until(lambda: not child.is_running())
        assert server.is_alive


def test_a_file_that_takes_too_much_time_is_given_up(tmp_path: Path) -> None:
    path = write_wav_header(tmp_path / "a.wav", rate=48_000, claimed=2 << 30)
    os.truncate(path, 2 << 30)
    request = Request(
        "decode", "a.wav", ".wav", 1, {"sample_rate": 16_000, "layout": "mono"}, TaskLimits(cpu_seconds=1)
    )
    with served() as server, path.open("rb") as file:  # noqa: SIM117
        with (
            server.start(request, file.fileno()) as task,
            pytest.raises(UnreadableError, match="more than 1 s to decode"),
        ):
            for _ in task.blocks():
                pass


def test_a_killed_fork_server_is_started_again(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", tone(60))
    expected, blocks = decode(path), decode_blocks(path)
    next(blocks)
    server = psutil.Process(SHARED.server().pid)
    server.kill()
    server.wait(60)  # its child has died too, before it could send the rest
    with pytest.raises(DecoderLostError, match="tried again"):
        list(blocks)
    assert np.array_equal(decode(path), expected)


def test_a_fork_server_that_hangs_is_killed() -> None:
    server = DecoderServer(answer_seconds=0.2)
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        os.kill(server.pid, signal.SIGSTOP)
        with pytest.raises(DecoderLostError, match="no decoder could be started"):
            server.start(Request("probe", "a.wav"), nothing)
        assert not server.is_alive
    finally:
        os.close(nothing)
        server.close()


def test_what_a_reader_leaves_is_ended(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", tone(300))
    blocks = decode_blocks(path)
    next(blocks)
    server = psutil.Process(SHARED.server().pid)
    assert server.children()
    blocks.close()
    until(lambda: not server.children())


def test_the_processes_end_with_their_parent(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", tone(300))
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from stt_pipeline.audio.decode import decode_blocks\n"
        "from stt_pipeline.audio.sandbox.client import SHARED\n"
        "blocks = decode_blocks(Path(sys.argv[1])); next(blocks)\n"
        "print(SHARED.server().pid, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        server = psutil.Process(int(parent.stdout.readline()))
        children = server.children()
        parent.kill()
    assert children
    _, alive = psutil.wait_procs([server, *children], timeout=60)
    assert not alive


def test_a_forked_process_has_a_server_of_its_own(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", tone(1))
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from stt_pipeline.audio.decode import decode\n"
        "from stt_pipeline.audio.sandbox.client import SHARED\n"
        "path = Path(sys.argv[1]); decode(path); first = SHARED.server().pid\n"
        "if (pid := os.fork()) == 0:\n"
        "    decode(path)\n"
        "    sys.exit(SHARED.server().pid == first)\n"
        "_, status = os.waitpid(pid, 0)\n"
        "decode(path)\n"
        "sys.exit(status != 0 or SHARED.server().pid != first)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=60)


@pytest.mark.parametrize("suffix", CODECS)
def test_the_sandbox_changes_no_sample(suffix: str, tmp_path: Path) -> None:
    path = write_sound(tmp_path / f"a.{suffix}", tone(3, 48_000), 48_000)
    with path.open("rb") as file:
        media = Media(file, path.name, path.stat().st_size, lambda: None)
        here = np.concatenate(list(sample_blocks(media, 16_000, "mono")))[:, 0]
        file.seek(0)
        assert properties(media)["duration"] == probe(path).duration
    assert np.array_equal(decode(path), here)


def test_recordings_side_by_side(tmp_path: Path) -> None:
    sounds = [write_sound(tmp_path / f"{hertz}.flac", tone(5, hertz=hertz)) for hertz in (300, 440, 700, 900)]
    expected = {path: decode(path) for path in sounds}
    results: list[bool] = []

    def work(path: Path) -> None:
        results.extend(np.array_equal(decode(path), expected[path]) for _ in range(5))

    threads = [threading.Thread(target=work, args=[path]) for path in sounds * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 40 and all(results)


@pytest.mark.parametrize(
    ("missing", "state"), [([], "ok"), (["Landlock"], "warn"), (["Landlock", "seccomp"], "warn")]
)
def test_the_doctor_says_what_a_kernel_has_not(missing: list[str], state: str) -> None:
    check = health.decoder(lambda server: missing)
    assert check.state == state
    assert all(f"no {name}" in check.found for name in missing)


def test_a_decoder_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ConfigurationError, match=r"decoder process does not start: .*No module named"):
        DecoderServer()


def test_a_python_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ConfigurationError, match=r"decoder process does not start: .*No such file"):
        DecoderServer()


def test_a_kernel_without_measures_gives_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    shared = SharedDecoderServer(lambda server: ["seccomp"])
    try:
        assert shared.server() is shared.server()
    finally:
        shared.close()
    (record,) = caplog.records
    assert record.levelname == "WARNING" and "without seccomp" in record.getMessage()


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(UnreadableError, match="Not a regular file"):
        decode(tmp_path / "a.wav")


def test_media_libraries_are_imported_in_the_sandbox_only() -> None:
    media = re.compile(r"^\s*(import|from) (av|soundfile|torchaudio|librosa)\b", flags=re.M)
    users = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if media.search(path.read_text())}
    # FFmpeg's version; an encoder of our own samples
    users -= {Path("native_libraries.py"), Path("audio/playable.py")}
    assert users and all(path.parts[:2] == ("audio", "sandbox") for path in users)
    readers = re.compile(r"\b(decode_audio|load_audio)\b")  # of faster-whisper and whisperx
    assert not [path for path in PACKAGE.rglob("*.py") if readers.search(path.read_text())]
