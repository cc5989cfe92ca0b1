"""Names and loading of models: the demo model, good and bad folders, and a hub that can or cannot be reached."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stt_pipeline.errors import ConfigurationError
from stt_pipeline.speech.models import find_files, load_model, resolve_name
from stt_pipeline_tests.speech.model_hub import serve_hub

DEMO_FOLDER = find_files("demo")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the demo model, to be damaged."""
    return Path(shutil.copytree(DEMO_FOLDER, tmp_path / "내 모델"))


def test_demo_is_in_the_package() -> None:
    loaded = load_model("demo", "cpu")
    assert loaded.name == "demo"
    assert loaded.languages == ("en", "ko")
    assert loaded.device == "cpu"
    assert loaded.compute_type.startswith("int8")


def test_a_model_is_loaded_once_for_all_threads() -> None:
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(lambda _: load_model("demo", "cpu", "int8", 1), range(8)))
    assert len({id(model) for model in loaded}) == 1
    assert load_model("demo", "cpu", "float32", 1) is not loaded[0]


def test_auto_depends_on_the_device() -> None:
    assert resolve_name("auto", "cuda") == "large-v3"
    assert resolve_name("auto", "cpu") == "small"


def test_a_folder_is_known_by_its_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert load_model(f"./{folder.name}", "cpu").name == str(folder)
    assert load_model(str(folder), "cpu") is load_model(folder.name, "cpu")


@pytest.mark.parametrize("missing", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"])
def test_a_folder_with_a_file_missing_says_which(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(ConfigurationError, match=rf"not complete: {missing.replace('.json', '')}.*missing"):
        load_model(str(folder), "cpu")


def test_a_folder_that_does_not_exist() -> None:
    with pytest.raises(ConfigurationError, match=r"/no/such/folder does not exist"):
        load_model("/no/such/folder", "cpu")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.bin", b"not weights" * 100),
        ("model.bin", (DEMO_FOLDER / "model.bin").read_bytes()[:1_000_000]),
        ("tokenizer.json", b"{}"),
        ("config.json", b"{"),
        ("preprocessor_config.json", b'{"feature_size": 128}'),
    ],
)
def test_a_damaged_folder_is_a_configuration_error(folder: Path, file: str, content: bytes) -> None:
    (folder / file).write_bytes(content)
    with pytest.raises(ConfigurationError, match="does not run on cpu") as raised:
        load_model(str(folder), "cpu")
    assert str(folder) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_name_that_does_not_exist_lists_those_that_do() -> None:
    with pytest.raises(ConfigurationError, match=r"STT_MODEL=lrage-v3 .*auto, demo, .*small, .*large-v3, "):
        load_model("lrage-v3", "cpu")


def test_a_compute_type_that_the_processor_lacks_lists_what_it_has() -> None:
    with pytest.raises(ConfigurationError, match=r"compute type int3.*This cpu supports float32, .*int8"):
        load_model("demo", "cpu", "int3")


def test_cuda_without_a_gpu() -> None:
    import ctranslate2

    if ctranslate2.get_cuda_device_count():
        pytest.skip("there is a GPU here")
    with pytest.raises(ConfigurationError, match="STT_DEVICE=cuda, but no CUDA GPU is visible"):
        load_model("demo", "cuda")


_LOAD = """
import json, sys, time
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.speech import models

models.HUB_TIMEOUT_SECONDS = 0.5
for name in sys.argv[1:]:
    started = time.monotonic()
    try:
        answer = models.load_model(name, "cpu").languages
    except ConfigurationError as error:
        answer = str(error)
    print(json.dumps([answer, time.monotonic() - started]))
"""


class Loader:
    """Loads models in a separate process, because the hub's client reads its environment once; nothing may be printed."""

    def __init__(self, home: Path) -> None:
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        self._environment["HF_HOME"] = str(home)

    def load(self, hub: str, *names: str) -> list[tuple[list[str] | str, float]]:
        process = subprocess.run(
            [sys.executable, "-W", "error", "-c", _LOAD, *names],
            env={**self._environment, "HF_ENDPOINT": hub},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert process.stderr == ""
        return [tuple(json.loads(line)) for line in process.stdout.splitlines()]


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    return Loader(tmp_path / "hub")


@pytest.fixture
def silent_hub() -> Iterator[str]:
    """A hub that accepts every connection and never answers, as behind a firewall that drops packets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.slow
def test_a_model_is_downloaded_once_by_its_name(loader: Loader, silent_hub: str) -> None:
    with serve_hub("Systran/faster-whisper-small", DEMO_FOLDER) as hub:
        [(first, _), (unknown, _)] = loader.load(hub, "auto", "nobody/nothing")
    assert first == ["en", "ko"]
    assert "nobody/nothing is not on the Hugging Face hub" in unknown
    [(again, _)] = loader.load(silent_hub, "small")
    assert again == ["en", "ko"], "files on this machine need no hub"


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached(loader: Loader, silent_hub: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refusing_hub = f"http://127.0.0.1:{closed.getsockname()[1]}"
    for hub in (refusing_hub, silent_hub):
        [(message, seconds)] = loader.load(hub, "large-v3")
        assert message.startswith(
            "The speech model large-v3 (Systran/faster-whisper-large-v3) is not on this machine"
        )
        assert "hf download Systran/faster-whisper-large-v3 --local-dir DIR" in message
        assert "STT_MODEL=DIR" in message
        assert "\n" not in message
        assert seconds < 10


@pytest.mark.slow
def test_a_folder_needs_no_network(folder: Path) -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*args, **kwargs): raise AssertionError(f'network: {args}')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from stt_pipeline.speech.models import load_model\n"
        "for name in sys.argv[1:]: load_model(name, 'cpu')\n"
    )
    command = [sys.executable, "-W", "error", "-c", code, "demo", str(folder)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
