"""A server of Debian's PostgreSQL 15, what production runs on, for tests beside the embedded one.

It has a folder and a socket of its own; the clusters that the system keeps are left alone.
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
_SERVER = {"listen_addresses": "''", "fsync": "off", "max_connections": "200"}


def is_installed() -> bool:
    """Return whether this machine has the package ``postgresql-15``."""
    return (_PROGRAMS / "initdb").exists()


@contextmanager
def running() -> Iterator[str]:
    """Yield the URL of a new server, which ends with the block and leaves nothing behind."""
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
