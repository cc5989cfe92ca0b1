"""Which home and which settings a process uses, whatever its working directory."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stt_pipeline import home
from stt_pipeline.cli.setting_names import OTHER_NAMES, setting_names, unknown_names
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.home import default_home, env_files
from stt_pipeline.settings import Settings
from stt_pipeline_tests.cli.conftest import Stt

ROOT = Path(__file__).parents[2]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package without a checkout, and an environment without STT_HOME; the user's folder."""
    for name in ("STT_HOME", "STT_ENV_FILE"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(home, "checkout", lambda: None)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user" / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user" / "config"))
    return tmp_path / "user"


def env_file(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".env"
    path.write_text(text)
    return path


def test_the_home_is_the_same_from_every_folder(tmp_path: Path) -> None:
    script = "from stt_pipeline.settings import Settings; print(Settings().home)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STT_")}
    environment |= {"STT_ENV_FILE": "", "PYTHONPATH": str(ROOT)}
    homes = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for folder in (ROOT, ROOT / "docs", tmp_path)
    }
    assert homes == {str(ROOT / ".stt")}


def test_without_a_checkout_the_home_is_a_folder_of_the_user(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Settings().home == default_home() == installed / "data" / "stt_pipeline"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert Settings().home == installed / "data" / "stt_pipeline"


@pytest.mark.parametrize("empty", ["", "~"])
def test_an_empty_home_is_the_default_and_a_tilde_the_users_folder(
    installed: Path, monkeypatch: pytest.MonkeyPatch, empty: str
) -> None:
    monkeypatch.setenv("STT_HOME", empty)
    assert Settings().home == (Path.home() if empty else default_home())


def test_the_order_of_env_files(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users = env_file(
        installed / "config" / "stt_pipeline", "STT_UI_PORT=1\nSTT_API_PORT=1\nSTT_CPU_THREADS=1\n"
    )
    here = env_file(tmp_path / "work", "STT_UI_PORT=2\nSTT_API_PORT=2\n")
    monkeypatch.chdir(here.parent)
    monkeypatch.setenv("STT_UI_PORT", "3")
    settings = Settings()
    assert (settings.ui_port, settings.api_port, settings.cpu_threads) == (3, 2, 1)
    assert env_files() == (here, users)


def test_one_named_env_file_replaces_the_others(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file(tmp_path, "STT_UI_PORT=2\n")
    assert Settings().ui_port == 2
    monkeypatch.setenv("STT_ENV_FILE", str(env_file(tmp_path / "other", "STT_API_PORT=5\n")))
    assert (Settings().ui_port, Settings().api_port) == (3000, 5)
    monkeypatch.setenv("STT_ENV_FILE", "")
    assert (Settings().ui_port, Settings().api_port) == (3000, 8010)
    monkeypatch.setenv("STT_ENV_FILE", "no-such-file")
    with pytest.raises(ConfigurationError, match="STT_ENV_FILE is no-such-file, which is not a file"):
        Settings()


def test_relative_paths_in_an_env_file_start_at_its_folder(installed: Path) -> None:
    folder = env_file(installed / "config" / "stt_pipeline", "STT_HOME=here\nSTT_DATA_URI=../data\n").parent
    assert Settings().home == folder / "here"
    assert Path(Settings().data_uri).resolve() == folder.parent / "data"
    env_file(folder, f"STT_HOME={folder}/absolute\nSTT_DATA_URI=s3://bucket/x\n")
    assert (Settings().home, Settings().data_uri) == (folder / "absolute", "s3://bucket/x")


def test_unknown_names_are_reported_with_the_nearest_setting(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stt: Stt
) -> None:
    monkeypatch.setenv("STT_DATABSE_URL", "postgresql://stt:s3cret@127.0.0.1/x")
    path = env_file(tmp_path, "STT_SMPT_URL=smtp://stt:s3cret@mail\nOTHER=1\nSTT_XYZZY=1\nstt_ui_port=0\n")
    assert list(unknown_names()) == [
        "STT_DATABSE_URL in the environment is not a setting, so it has no effect. Did you mean STT_DATABASE_URL?",
        f"STT_SMPT_URL in {path} is not a setting, so it has no effect. Did you mean STT_SMTP_URL?",
        f"STT_XYZZY in {path} is not a setting, so it has no effect. .env.example lists the settings.",
    ]
    printed = stt("env").err
    assert "STT_DATABSE_URL in the environment is not a setting" in printed
    checks = {check["name"]: check for check in json.loads(stt("doctor", "--json").out)["checks"]}
    assert checks["settings"]["state"] == "warn"
    assert "Did you mean STT_SMTP_URL?" in checks["settings"]["advice"]
    assert "s3cret" not in printed + json.dumps(checks)


def test_every_variable_of_the_code_is_a_known_name() -> None:
    used = {
        name
        for path in (ROOT / "stt_pipeline").rglob("*.py")
        for name in re.findall(r'"(STT_[A-Z0-9_]+)"', path.read_text())
    }
    assert used >= OTHER_NAMES
    assert used <= {*setting_names(), *OTHER_NAMES}


def test_the_doctor_shows_home_and_env_files(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stt: Stt
) -> None:
    path = env_file(tmp_path, "STT_HOME=data\n")

    def checks() -> dict[str, dict[str, str]]:
        return {check["name"]: check for check in json.loads(stt("doctor", "--json").out)["checks"]}

    found = checks()
    assert found["STT_HOME"]["found"].startswith(f"{tmp_path / 'data'}")
    assert "from .env" in found["STT_HOME"]["found"]
    assert found["settings"]["found"] == (
        f"from the environment, then {path}; there is no {installed / 'config' / 'stt_pipeline' / '.env'}"
    )
    monkeypatch.setenv("STT_HOME", str(tmp_path / "other"))
    assert "from the environment" in checks()["STT_HOME"]["found"]


def test_the_doctor_warns_of_data_in_the_working_directory(
    stt: Stt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work" / ".stt" / "postgres").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    checks = {check["name"]: check for check in json.loads(stt("doctor", "--json").out)["checks"]}
    assert checks["STT_HOME"]["state"] == "warn"
    assert checks["STT_HOME"]["advice"] == f"Set STT_HOME={tmp_path}/work/.stt to use the other one."


@pytest.mark.slow
def test_a_new_postgres_is_announced(stt: Stt, tmp_path: Path) -> None:
    first, second = stt("batch", "list"), stt("batch", "list")
    assert f"Starting an empty Postgres in {tmp_path / '.stt' / 'postgres'}" in first.err
    assert "Postgres" not in second.err


def test_settings_in_a_log_show_no_password() -> None:
    url = "//stt:s3cret@127.0.0.1/x"
    assert "s3cret" not in repr(Settings(database_url=f"postgresql:{url}", smtp_url=f"smtp:{url}"))
