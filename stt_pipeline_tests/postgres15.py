"""A server of Debian's PostgreSQL 15, the version that production runs, for tests beside the embedded server.

It has its own folder and socket and does not touch the clusters of the system.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PROGRAMS = Path("/usr/lib/postgresql/15/bin")
NOT_DURABLE = ("fsync", "synchronous_commit", "full_page_writes")
"""Settings that are off in the servers of tests only: they protect data from a crash of the machine."""

_SERVER = {"listen_addresses": "''", "max_connections": "200"} | dict.fromkeys(NOT_DURABLE, "off")


def is_installed() -> bool:
    """Return whether this machine has the package ``postgresql-15``."""
    return (_PROGRAMS / "initdb").exists()


@contextmanager
def running() -> Iterator[str]:
    """Yield the URL of a new server, which is stopped and deleted at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="stt-postgres15-") as name:
        folder = Path(name)
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:  # Postgres refuses to run as root
            shutil.chown(folder, "postgres")
            user = pwd.getpwnam("postgres")
            identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [_PROGRAMS / program, "--pgdata=data", *arguments],
                cwd=folder,
                env={"PATH": os.environ["PATH"]},
                check=True,
                capture_output=True,
                **identity,
            )

        run(
            "initdb",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--auth=trust",
            "--no-sync",
        )
        settings = _SERVER | {"unix_socket_directories": name}
        options = " ".join(f"-c {key}={value}" for key, value in settings.items())
        run("pg_ctl", "start", "--wait", "--log=log", f"--options={options}")
        try:
            yield f"postgresql+psycopg://postgres@/postgres?host={name}&port=5432"
        finally:
            run("pg_ctl", "stop", "--wait", "--mode=fast")
