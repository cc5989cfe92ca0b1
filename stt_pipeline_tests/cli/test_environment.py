"""DAGSTER_HOME: the shipped dagster.yaml with the operator's override."""

from pathlib import Path

import pytest
import yaml

from stt_pipeline.cli.environment import prepare_dagster_home
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings

SHIPPED = {
    **yaml.safe_load((Path(__file__).parents[2] / "dagster.yaml").read_text()),
    "storage": {"postgres": {"postgres_url": {"env": "STT_DAGSTER_POSTGRES_URL"}}},
}


def prepared(home: Path, override: str | None = None) -> dict[str, object]:
    settings = Settings(home=home, _env_file=None)  # type: ignore[call-arg]
    if override is not None:
        (home / "dagster.override.yaml").write_text(override)
    prepare_dagster_home(settings)
    values: dict[str, object] = yaml.safe_load((settings.dagster_home / "dagster.yaml").read_text())
    return values


def test_without_an_override_it_is_the_shipped_file_with_the_storage_in_postgres(tmp_path: Path) -> None:
    assert prepared(tmp_path) == SHIPPED


def test_a_run_launcher_is_added(tmp_path: Path) -> None:
    launcher = {"module": "dagster_celery.launcher", "class": "CeleryRunLauncher"}
    assert prepared(tmp_path, yaml.safe_dump({"run_launcher": launcher})) == {
        **SHIPPED,
        "run_launcher": launcher,
    }


def test_mappings_are_merged_key_by_key(tmp_path: Path) -> None:
    values = prepared(tmp_path, "concurrency: {runs: {max_concurrent_runs: 40}}")
    assert values["concurrency"] == {**SHIPPED["concurrency"], "runs": {"max_concurrent_runs": 40}}


def test_another_class_replaces_the_whole_mapping(tmp_path: Path) -> None:
    coordinator = {"module": "dagster", "class": "DefaultRunCoordinator"}
    values = prepared(tmp_path, yaml.safe_dump({"run_coordinator": coordinator}))
    assert values["run_coordinator"] == coordinator


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not valid YAML"),
        ("- a", "must be a mapping, in the form of"),
        ("[]", "must be a mapping, in the form of"),
    ],
)
def test_a_broken_override_stops_the_start(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        prepared(tmp_path, text)


def test_an_empty_override_changes_nothing(tmp_path: Path) -> None:
    assert prepared(tmp_path, "# nothing yet\n") == SHIPPED


def test_an_unreadable_override_is_named(tmp_path: Path) -> None:
    (tmp_path / "dagster.override.yaml").mkdir()
    with pytest.raises(ConfigurationError, match=r"dagster\.override\.yaml cannot be read"):
        prepared(tmp_path)


def test_a_private_override_gives_a_private_file(tmp_path: Path) -> None:
    override = tmp_path / "dagster.override.yaml"
    override.touch(mode=0o400)
    for _ in range(2):  # the second start replaces the file of the first
        assert prepared(tmp_path) == SHIPPED
        assert (tmp_path / "dagster" / "dagster.yaml").stat().st_mode & 0o777 == 0o600
