"""The embedded Postgres with real servers: start, join, kill, unusual folders, ordinary users."""

import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database, is_disconnect
from stt_pipeline.store.server.embedded import EmbeddedPostgres, running_url, with_database
from stt_pipeline.store.server.postmaster import running_postmaster

AS_ROOT = os.geteuid() == 0
NOBODY = 65534


def settings_of(home: Path) -> Settings:
    return Settings(home=home, database_url="", _env_file=None)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with one data folder for all tests of this file, because creating one takes over a second."""
    return settings_of(tmp_path_factory.mktemp("home"))


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""))


def ends(pid: int) -> bool:
    """Return whether ``pid`` ends within seconds; a zombie, which a container may not reap, has ended."""
    for _ in range(50):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


def server_pid(settings: Settings) -> int:
    postmaster = running_postmaster(settings.postgres_folder)
    assert postmaster is not None
    return postmaster.pid


@pytest.mark.slow
def test_data_stays_and_no_process_does(settings: Settings) -> None:
    with EmbeddedPostgres(settings) as server:
        pid = server_pid(settings)
        with connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 'x' AS value")
            shown = connection.execute(
                "SELECT current_setting('TimeZone'), current_setting('fsync')"
            ).fetchone()
            assert shown == ("UTC", "on")
    assert running_url(settings) is None
    assert ends(pid)
    with with_database(settings) as url, connect(url) as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == ("x",)


@pytest.mark.slow
def test_the_last_process_stops_the_server(settings: Settings) -> None:
    first, second = EmbeddedPostgres(settings), EmbeddedPostgres(settings)
    with second:
        with first:
            assert first.url == second.url == running_url(settings)
        pid = server_pid(settings)  # the first process left, the second still uses the server
    assert ends(pid)


@pytest.mark.slow
def test_server_of_a_killed_process_is_joined_and_then_stopped(settings: Settings) -> None:
    script = textwrap.dedent(f"""
        import os, pathlib, signal
        from stt_pipeline.settings import Settings
        from stt_pipeline.store.server.embedded import EmbeddedPostgres
        with EmbeddedPostgres(Settings(home=pathlib.Path({str(settings.home)!r}), database_url="")):
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    pid = server_pid(settings)
    with EmbeddedPostgres(settings):
        assert server_pid(settings) == pid
    assert ends(pid)


@pytest.mark.slow
def test_starts_again_after_kill_9_with_connections_open(settings: Settings) -> None:
    with EmbeddedPostgres(settings) as server:
        connection = connect(server.url)
        pid = server_pid(settings)
        os.kill(pid, signal.SIGKILL)
        assert ends(pid)
        assert running_url(settings) is None
        with EmbeddedPostgres(settings) as again, connect(again.url) as fresh:
            assert fresh.execute("SELECT 1").fetchone() == (1,)
            assert server_pid(settings) != pid
        connection.close()


@pytest.mark.slow
def test_a_killed_server_is_started_again_and_open_pools_reconnect(settings: Settings) -> None:
    with EmbeddedPostgres(settings) as server:
        database = Database(server.url, reconnect_seconds=60)
        with pytest.raises(DBAPIError) as lost, database.begin() as connection:
            os.kill(server_pid(settings), signal.SIGKILL)
            while True:
                connection.execute(text("SELECT pg_sleep(0.1)"))
        assert is_disconnect(lost.value)
        assert not server.is_running()
        url = server.url
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(_select_one, database)
            server.start_again()
            assert waiting.result() == 1
        assert server.is_running()
        assert server.url == url
        server.start_again()  # it runs
        database.dispose()


def _select_one(database: Database) -> object:
    with database.begin() as connection:
        return connection.scalar(text("SELECT 1"))


@pytest.mark.slow
def test_backends_without_a_postmaster_do_not_prevent_the_start(settings: Settings) -> None:
    with EmbeddedPostgres(settings) as server, connect(server.url) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)  # as one that does not notice the end of its postmaster
        os.kill(server_pid(settings), signal.SIGKILL)
        assert ends(server_pid_file(settings))
        server.start_again()
        assert ends(backend)


def server_pid_file(settings: Settings) -> int:
    return int((settings.postgres_folder / "postmaster.pid").read_text().split()[0])


@pytest.mark.slow
def test_stale_pid_file_with_the_pid_of_another_program(settings: Settings) -> None:
    with EmbeddedPostgres(settings):
        pid_file = settings.postgres_folder / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
    # a process of the server's user: Postgres assumes that any live process of that user is a server
    owner = {"user": settings.postgres_folder.stat().st_uid} if AS_ROOT else {}
    with subprocess.Popen(["sleep", "60"], cwd="/", **owner) as other:
        try:
            pid_file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
            assert running_url(settings) is None
            with EmbeddedPostgres(settings):
                assert running_url(settings) is not None
            assert other.poll() is None
        finally:
            other.kill()


@pytest.mark.slow
def test_home_with_spaces_quotes_korean_and_150_characters(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / ('회의록 "it\'s", 100 %' + "x" * 130) / ".stt")
    with with_database(settings) as url, connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        socket_folder = Path(connection.info.host)
        assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
        assert not list(settings.postgres_folder.glob(".s.PGSQL.*"))
    assert not socket_folder.exists()


def as_ordinary_user(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``script`` without root rights. It imports first, because only root may be able to read the interpreter."""
    drop = f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})" if AS_ROOT else ""
    code = textwrap.dedent("""
        import os, pathlib, sys, psycopg, psutil, encodings.idna
        from stt_pipeline.errors import ConfigurationError
        from stt_pipeline.settings import Settings
        from stt_pipeline.store.server.embedded import EmbeddedPostgres
        home = pathlib.Path(sys.argv[1])
    """)
    code += drop + "\nos.chdir('/')\n" + textwrap.dedent(script)
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.slow
def test_ordinary_user(tmp_path: Path) -> None:
    if AS_ROOT:
        for folder in [tmp_path, *tmp_path.parents]:  # only root can read the folders of pytest
            folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
        os.chown(tmp_path, NOBODY, NOBODY)
    ran = as_ordinary_user(
        """
        with EmbeddedPostgres(Settings(home=home, database_url="", _env_file=None)) as server:
            connection = psycopg.connect(server.url.replace("+psycopg", ""))
            print(connection.execute("SELECT 41 + 1").fetchone()[0], os.geteuid())
            connection.close()
        """,
        str(tmp_path / ".stt"),
    )
    assert ran.stdout.split() == ["42", str(NOBODY if AS_ROOT else os.geteuid())], ran.stderr
    assert ran.stderr == ""


@pytest.mark.slow
def test_unwritable_home(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    ran = as_ordinary_user(
        """
        try:
            EmbeddedPostgres(Settings(home=home, database_url="", _env_file=None)).__enter__()
        except ConfigurationError as error:
            print(error)
        """,
        str(tmp_path / ".stt"),
    )
    assert ran.stdout.startswith(
        f"STT_HOME is {tmp_path / '.stt'}, which this user cannot use: Permission denied"
    ), ran.stderr


def test_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigurationError, match="which this user cannot use: Not a directory"),
        with_database(settings_of(tmp_path / "file" / ".stt")),
    ):
        pass


def test_unreachable_server(tmp_path: Path) -> None:
    elsewhere = Settings(
        home=tmp_path, database_url="postgresql://stt:s3cret-word@127.0.0.1:1/minutes", _env_file=None
    )
    began = time.monotonic()
    with pytest.raises(ConfigurationError) as caught, with_database(elsewhere):
        pass
    assert time.monotonic() - began < 8
    assert "127.0.0.1, port 1, database minutes" in str(caught.value)
    assert "Connection refused" in str(caught.value)
    assert "s3cret-word" not in str(caught.value)
    assert not list(tmp_path.iterdir())
