"""The files around the package: lock, Makefile, .env.example, and what importing the definitions costs."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pydantic_settings import SettingsConfigDict

from stt_pipeline.settings import Settings
from stt_pipeline.store.server.postmaster import VERSION, binary
from tools.env_example import env_example

ROOT = Path(__file__).parents[2]


def locked(file: str) -> dict[str, list[str]]:
    """Return each package of a lock, with its version and its hashes as the rest."""
    lines = [line.strip() for line in (ROOT / "requirements" / file).read_text().splitlines()]
    joined = " ".join(line.removesuffix("\\") for line in lines if not line.startswith("#"))
    packages = re.split(r"\s(?=[\w.-]+==)", f" {joined}")[1:]
    return {package.split("==")[0]: package.split(" --")[1:] for package in packages}


def required(extra: str | None) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    names = (re.match(r"[\w.-]+", line) for line in lines)
    return {re.sub(r"[-_.]+", "-", match[0]).lower() for match in names if match}


@pytest.mark.parametrize(
    ("lock", "extra"),
    [
        ("runtime.txt", None),
        ("dev.txt", None),
        ("dev.txt", "dev"),
        ("demo-model.txt", None),
        ("demo-model.txt", "demo-model"),
        ("whisperx.txt", None),
        ("whisperx.txt", "whisperx"),
    ],
)
def test_lock_holds_every_dependency_and_names_no_index(lock: str, extra: str | None) -> None:
    assert required(extra) <= locked(lock).keys()
    assert not re.search(r"://|index-url|find-links|--(?!hash=)", (ROOT / "requirements" / lock).read_text())


@pytest.mark.parametrize("lock", ["runtime.txt", "dev.txt", "demo-model.txt", "whisperx.txt"])
def test_every_locked_package_has_hashes(lock: str) -> None:
    packages = locked(lock)
    assert len(packages) > 100
    for hashes in packages.values():
        assert hashes and all(re.fullmatch(r"hash=sha256:[0-9a-f]{64} *", one) for one in hashes)


def test_locks_agree_on_versions() -> None:
    """What runs in production is what the tests run with."""
    tested = set(re.findall(r"^[\w.-]+==\S+", (ROOT / "requirements" / "dev.txt").read_text(), flags=re.M))
    shipped = re.findall(r"^[\w.-]+==\S+", (ROOT / "requirements" / "runtime.txt").read_text(), flags=re.M)
    assert set(shipped) <= tested


@pytest.mark.slow
def test_sbom_names_every_package_of_the_product(tmp_path: Path) -> None:
    sbom = tmp_path / "sbom.cdx.json"
    subprocess.run(
        # -o: this environment is the one under test, whatever its age
        [
            "make",
            "-C",
            ROOT,
            "-o",
            ".venv/.installed-development",
            "sbom",
            f"SBOM={sbom}",
            f"BIN={Path(sys.executable).parent}",
        ],
        check=True,
    )
    content = json.loads(sbom.read_text())
    assert content["bomFormat"] == "CycloneDX"
    assert content["metadata"]["component"]["name"] == "stt_pipeline"
    names = {component["name"] for component in content["components"]}
    assert names == locked("runtime.txt").keys()
    assert {"dagster", "faster-whisper", "av", "psycopg-binary"} <= names
    assert all(component["purl"].startswith("pkg:pypi/") for component in content["components"])


def test_env_example_is_made_from_the_settings() -> None:
    assert (ROOT / ".env.example").read_text() == env_example(), (
        "make it again: python -m tools.env_example > .env.example"
    )


def test_env_example_says_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"STT_{name.upper()}", raising=False)
    file = tmp_path / "all.env"
    file.write_text(re.sub(r"^#(?=STT_)", "", env_example(), flags=re.M))

    class FromFile(Settings):
        model_config = SettingsConfigDict(env_file=file)

    assert FromFile().model_dump() == Settings(_env_file=None).model_dump()


def test_make_alone_prints_the_targets() -> None:
    printed = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make (\w+)", printed, flags=re.M)) >= {
        *("help", "setup", "demo", "up", "test", "check", "bench", "sbom", "lock")
    }


def test_setup_says_which_python_it_wants(tmp_path: Path) -> None:
    ran = subprocess.run(
        ["sh", str(ROOT / "tools" / "setup.sh")],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHON": "/nowhere/python3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "No Python from 3.11 to 3.13 found (tried /nowhere/python3)" in ran.stderr


@pytest.mark.slow
def test_blas_has_one_thread_unless_somebody_asks_for_more() -> None:
    print_threads = (
        "import threadpoolctl, scipy.linalg;"
        "print(*{pool['num_threads'] for pool in threadpoolctl.threadpool_info() if pool['user_api'] == 'blas'})"
    )
    for imports, asked, threads in (
        ("stt_pipeline, numpy", {}, "1"),
        ("numpy, stt_pipeline", {}, "1"),
        ("stt_pipeline, numpy", {"OPENBLAS_NUM_THREADS": "2"}, "2"),
        ("numpy, stt_pipeline", {"OPENBLAS_NUM_THREADS": "2"}, "2"),
    ):
        script = f"import {imports}; {print_threads}"
        ran = subprocess.run(
            [sys.executable, "-c", script],
            env={"PATH": os.environ["PATH"], **asked},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout.strip() == threads


def test_the_postgres_that_is_installed_is_the_one_that_is_meant() -> None:
    said = subprocess.run(
        [binary("postgres"), "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert re.search(rf"\b{VERSION}\.\d+$", said.strip())


@pytest.mark.parametrize(
    ("target", "lock"),
    [
        ("setup", "runtime"),
        ("demo", "runtime"),
        ("up", "runtime"),
        ("test", "dev"),
        ("check", "dev"),
        ("docs", "dev"),
    ],
)
def test_a_target_installs_the_lock_that_it_needs(target: str, lock: str, tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("requirements", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name)
    # --dry-run: the commands, in a checkout without .venv
    commands = subprocess.run(
        ["make", "-C", tmp_path, "--dry-run", target], capture_output=True, text=True, check=True
    ).stdout
    (installed,) = re.findall(r"sh tools/setup\.sh *(\S*)$", commands, flags=re.M)
    assert (installed or "requirements/runtime.txt") == f"requirements/{lock}.txt"


def test_the_runtime_lock_has_no_development_tools() -> None:
    assert (
        not {"pytest", "ruff", "mypy", "import-linter", "uv", "setuptools", "moto"}
        & locked("runtime.txt").keys()
    )
