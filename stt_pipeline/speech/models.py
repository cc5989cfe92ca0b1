"""Which speech model STT_MODEL means, where its files are, and loading it once a process. No audio here.

Everything that is wrong with a model is a ConfigurationError, raised before the first file is touched: a missing model
must stop a batch, not fail each of its files.
"""

import logging
import os
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from stt_pipeline.errors import ConfigurationError
from stt_pipeline.process_cache import once_per_process

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

DEMO = "demo"
"""Name of the tiny model in the package, which knows nothing but its vocabulary of synthetic meetings."""

Device = Literal["auto", "cpu", "cuda"]

_log = logging.getLogger(__name__)

_FILE_VERSION = 6
_DECODER_LAYER = re.compile(r"decoder/layer_(\d+)/")

# so small that threads wait for each other longer than they work: 554 s of audio took 24 s with two, 16 s with one
_DEMO_THREADS = 1
_THREADS = 4  # CTranslate2's own number; more cores make more workers

# faster-whisper would fetch a missing tokenizer from the hub, so a folder without one is not complete
_REQUIRED_FILES = ("model.bin", "config.json", "tokenizer.json", "vocabulary.*")

# The hub's client has no timeout of its own when it asks what a repository holds: behind a firewall that drops packets
# it waits for ever. It tries twice, so this is half of the longest wait, in seconds.
_HUB_TIMEOUT = 4.0


_LARGEST = (32, 1280)  # layers and width of large-v3's decoder


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A Whisper model in memory.

    Attributes:
        name: what ``auto`` and other aliases came to.
        languages: that it can be asked for.
        workers: how many model batches it can decode side by side.
        layers: of its decoder.
        width: of its layers.
    """

    name: str
    whisper: "WhisperModel"
    device: str
    compute_type: str
    languages: tuple[str, ...]
    workers: int = 1
    layers: int = _LARGEST[0]
    width: int = _LARGEST[1]


def load_model(
    name: str, device: Device = "auto", compute_type: str = "auto", cpu_threads: int = 0
) -> LoadedModel:
    """Return the model that ``name`` means, loaded at most once a process; safe to call from any thread.

    Args:
        name: ``auto`` (large-v3 on a GPU, small on a CPU), a faster-whisper name, a repository of the Hugging Face hub
            (``owner/model``), a folder with a CTranslate2 Whisper model, or ``demo``.
        device: where it runs; ``auto`` takes a GPU if there is one.
        compute_type: of CTranslate2; ``auto`` is float16 on a GPU and int8 on a CPU.
        cpu_threads: of one worker, on a CPU; as many workers as there are cores for. 0 takes four, and one for the
            demo model.

    Raises:
        ConfigurationError: no such model or device, files missing, or a hub that cannot be reached.
    """
    device = _choose_device(device)
    name = resolve_name(name, device)
    if compute_type == "auto":
        compute_type = "float16" if device == "cuda" else "int8"
    return _load(name, device, compute_type, cpu_threads)


def usable_cores() -> int:
    """Return how many cores this process may use; not all systems let one ask for fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resolve_name(name: str, device: Literal["cpu", "cuda"]) -> str:
    """Return the model's own name: what ``auto`` (or nothing) means on ``device``, and a folder by its absolute path."""
    if name in ("", "auto"):
        return "large-v3" if device == "cuda" else "small"
    if name != DEMO and _looks_like_folder(name):
        return str(Path(name).expanduser().absolute())
    return name


def find_files(name: str) -> Path:
    """Return the folder with the files of model ``name``, downloading them if they are not on this machine yet.

    Nothing is asked of the network for ``demo``, for a folder, or for a model that was downloaded before.

    Raises:
        ConfigurationError: no such model, files missing, or a hub that cannot be reached.
    """
    if name == DEMO:
        return _complete(Path(str(resources.files("stt_pipeline.speech") / "demo_model")))
    if _looks_like_folder(name):
        return _complete(Path(name).expanduser())
    return _from_hub(name, _repository(name))


def _choose_device(device: Device) -> Literal["cpu", "cuda"]:
    import ctranslate2

    if device == "cpu":
        return "cpu"
    if ctranslate2.get_cuda_device_count() > 0:
        return "cuda"
    if device == "cuda":
        raise ConfigurationError(
            "STT_DEVICE=cuda, but no CUDA GPU is visible to this process: check nvidia-smi and CUDA_VISIBLE_DEVICES, "
            "or set STT_DEVICE=cpu."
        )
    return "cpu"


def _looks_like_folder(name: str) -> bool:
    return name.startswith(("/", "./", "../", "~")) or Path(name).is_dir()


def _complete(folder: Path) -> Path:
    """Return ``folder`` if a model is in it."""
    if not folder.is_dir():
        raise ConfigurationError(f"The model folder {folder} does not exist: check STT_MODEL.")
    missing = [pattern for pattern in _REQUIRED_FILES if not any(folder.glob(pattern))]
    if missing:
        raise ConfigurationError(
            f"The model folder {folder} is not complete: {', '.join(missing)} missing. STT_MODEL wants a Whisper model in "
            "CTranslate2 format, as `hf download Systran/faster-whisper-small --local-dir DIR` fetches it."
        )
    return folder


def _repository(name: str) -> str:
    """Return the hub's repository of model ``name``."""
    from faster_whisper.utils import _MODELS, available_models  # the table has no public name

    if name in _MODELS:
        return str(_MODELS[name])
    if name.count("/") == 1:
        return name
    raise ConfigurationError(
        f"STT_MODEL={name} is neither a folder nor a known model. Known are auto, {DEMO}, {', '.join(available_models())}."
    )


def _from_hub(name: str, repository: str) -> Path:
    from faster_whisper.utils import download_model
    from huggingface_hub import HfApi
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

    logging.getLogger("huggingface_hub").setLevel(
        logging.ERROR
    )  # it advertises tokens; failures are raised anyway
    try:
        return _complete(Path(download_model(repository, local_files_only=True)))
    except (LocalEntryNotFoundError, ConfigurationError):
        pass  # never downloaded, or not to its end
    elsewhere = f"On a machine with a network run `hf download {repository} --local-dir DIR`, copy DIR here and set STT_MODEL=DIR."
    try:
        HfApi().model_info(repository, timeout=_HUB_TIMEOUT)
        _log.info("Downloading the speech model %s (%s), once.", name, repository)
        return _complete(Path(download_model(repository)))
    except RepositoryNotFoundError as error:
        raise ConfigurationError(
            f"STT_MODEL={name}: {repository} is not on the Hugging Face hub, or is private (then set HF_TOKEN)."
        ) from error
    except ConfigurationError:
        raise
    except Exception as error:  # the hub's client lets through whatever its HTTP library raises
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigurationError(
            f"The speech model {name} ({repository}) is not on this machine and could not be downloaded: {reason}. {elsewhere}"
        ) from error


@once_per_process()
def _load(name: str, device: str, compute_type: str, cpu_threads: int) -> LoadedModel:
    from faster_whisper import WhisperModel

    folder = find_files(name)
    cores = usable_cores()
    threads = min(cores, cpu_threads or (_DEMO_THREADS if name == DEMO else _THREADS))
    workers = cores // threads if device == "cpu" else 1
    try:
        whisper = WhisperModel(
            str(folder),
            device=device,
            compute_type=compute_type,
            cpu_threads=threads,
            num_workers=workers,
            local_files_only=True,
        )
        _check(whisper, device)
    except (
        Exception
    ) as error:  # CTranslate2 raises RuntimeError and ValueError, the tokenizer a bare Exception
        raise ConfigurationError(
            f"The speech model {name} in {folder} does not run on {device} with compute type {compute_type}: {error} "
            f"({_compute_types(device)}. A damaged model folder must be fetched again.)"
        ) from error
    return LoadedModel(
        name,
        whisper,
        device,
        whisper.model.compute_type,
        _languages(whisper),
        workers,
        *_decoder_shape(folder / "model.bin"),
    )


def _check(whisper: "WhisperModel", device: str) -> None:
    """Raise a ValueError or RuntimeError if ``whisper`` will not be able to hear anything."""
    bands = whisper.feature_extractor.mel_filters.shape[0]
    if bands != whisper.model.n_mels:
        raise ValueError(
            f"preprocessor_config.json is missing or of another model (it says {bands} mel bands, "
            f"the weights say {whisper.model.n_mels})."
        )
    if device == "cuda":
        # CTranslate2 looks for cuBLAS and cuDNN only at the first sound, which must not be somebody's file
        whisper.encode(np.zeros((bands, whisper.feature_extractor.nb_max_frames), np.float32))


def _decoder_shape(model: Path) -> tuple[int, int]:
    """Return layers and width of the decoder, from the names and shapes in CTranslate2's file; its API has neither.

    The file is what `ctranslate2.specs.model_spec` writes: a head, and for each variable its name, shape, type and data.
    """
    with model.open("rb") as file:

        def number(size: int) -> int:
            return int.from_bytes(file.read(size), "little")

        def text() -> str:
            return file.read(number(2)).rstrip(b"\0").decode()

        layers, width = set(), 0
        if number(4) != _FILE_VERSION:
            return _LARGEST
        text()
        number(4)
        for _ in range(number(4)):
            name = text()
            shape = [number(4) for _ in range(number(1))]
            number(1)
            file.seek(number(4), os.SEEK_CUR)
            if found := _DECODER_LAYER.match(name):
                layers.add(found[1])
            if name == "decoder/position_encodings/encodings":
                width = shape[-1]
        return (len(layers), width) if layers and width else _LARGEST


def _compute_types(device: str) -> str:
    import ctranslate2

    try:
        return f"This {device} can do {', '.join(sorted(ctranslate2.get_supported_compute_types(device)))}"
    except (RuntimeError, ValueError):
        return f"CTranslate2 cannot use {device} here"


def _languages(whisper: "WhisperModel") -> tuple[str, ...]:
    """Return the codes of the languages that the model has a token for."""
    if not whisper.model.is_multilingual:
        return ("en",)
    return tuple(
        code
        for code in whisper.supported_languages
        if whisper.hf_tokenizer.token_to_id(f"<|{code}|>") is not None
    )
