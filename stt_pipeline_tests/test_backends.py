"""The registries: every entry can be loaded with the settings that it names, and an instance is created once."""

import inspect
import threading
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
from pydantic import BaseModel, ValidationError

from stt_pipeline.backends import (
    DIARIZERS,
    FORMATS,
    NOTIFIERS,
    SOURCES,
    SUMMARIZERS,
    TRANSCRIBERS,
    Backend,
    Registry,
    choice_of,
)
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings
from tools.backends_page import backends_page

ENTRIES = [
    pytest.param(backend, id=f"{registry.kind} {name}")
    for registry in (TRANSCRIBERS, DIARIZERS, SUMMARIZERS, NOTIFIERS, FORMATS, SOURCES)
    for name, backend in registry.items()
]
SOURCE_ENTRIES = list(SOURCES.values())


class Counter:
    """A backend that counts its instances."""

    created: ClassVar[list[str]] = []

    def __init__(self, model: str) -> None:
        time.sleep(0.05)
        self.created.append(model)


class Wrapper:
    """A backend whose factory creates another backend of the same registry."""

    registry: ClassVar[Registry]

    def __init__(self) -> None:
        self.wrapped = self.registry.create("counter", SimpleNamespace(model="small"))


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setattr(Counter, "created", [])
    entries = {
        "counter": Backend(f"{__name__}:Counter", "counts", settings=("model",)),
        "wrapper": Backend(f"{__name__}:Wrapper", "wraps a counter"),
        "missing": Backend("no_such_package.module:Nothing", "is not installed", extra="whisperx"),
    }
    return Registry("counter", "STT_COUNTER", entries)


@pytest.mark.parametrize("backend", ENTRIES)
def test_a_factory_takes_the_settings_of_its_entry(backend: Backend) -> None:
    arguments = ("address", "pattern", "access") if backend in SOURCE_ENTRIES else ()
    inspect.signature(backend.load()).bind(*arguments, **dict.fromkeys(backend.settings))
    for name in backend.settings:
        assert hasattr(Settings, name) or name in Settings.model_fields


@pytest.mark.parametrize("backend", ENTRIES)
def test_an_entry_has_one_line_of_help_and_a_known_extra(backend: Backend) -> None:
    assert backend.help == backend.help.strip().rstrip(".") != ""
    assert "\n" not in backend.help
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert backend.extra in ("", *project["optional-dependencies"])


def test_threads_that_need_a_backend_at_once_get_one_instance(registry: Registry) -> None:
    barrier = threading.Barrier(4)

    def create(model: str) -> object:
        barrier.wait()
        return registry.create("counter", SimpleNamespace(model=model, home="ignored"))

    with ThreadPoolExecutor(4) as pool:
        instances = set(pool.map(create, ["small", "large"] * 2))
    assert sorted(Counter.created) == ["large", "small"]
    assert len(instances) == 2


def test_a_factory_can_create_another_backend_of_its_registry(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wrapper, "registry", registry, raising=False)
    with ThreadPoolExecutor(1) as pool:
        wrapper = pool.submit(registry.create, "wrapper", None).result(timeout=60)
    assert wrapper.wrapped is registry.create("counter", SimpleNamespace(model="small"))


def test_instances_differ_by_the_settings_that_the_backend_takes(registry: Registry) -> None:
    one = SimpleNamespace(model="small", home="a")
    assert registry.key("counter", one) == registry.key("counter", SimpleNamespace(model="small", home="b"))
    assert registry.key("counter", one) != registry.key("counter", SimpleNamespace(model="large", home="a"))


def test_an_unknown_name_is_refused_with_the_known_ones(registry: Registry) -> None:
    with pytest.raises(
        ConfigurationError, match=r"counter 'other'. Set STT_COUNTER to one of: counter, wrapper, missing"
    ):
        registry.create("other", None)


def test_a_missing_package_is_refused_with_its_extra(registry: Registry) -> None:
    with pytest.raises(ConfigurationError, match=r"no_such_package is not installed.*'\.\[whisperx\]'"):
        registry.create("missing", None)


def test_a_field_with_a_choice_accepts_the_names_of_the_registry(registry: Registry) -> None:
    class Options(BaseModel):
        counter: choice_of(registry, "") = ""  # type: ignore[valid-type]

    assert Options(counter="missing").counter == "missing"
    with pytest.raises(ValidationError, match="'counter', 'wrapper' or 'missing'"):
        Options(counter="other")
    assert Options.model_json_schema()["properties"]["counter"]["enum"] == [
        "",
        "counter",
        "wrapper",
        "missing",
    ]


def test_the_page_of_backends_is_made_from_the_registries() -> None:
    page = Path(__file__).parents[1] / "docs" / "backends.md"
    assert page.read_text() == backends_page(), "make it again: make docs"
