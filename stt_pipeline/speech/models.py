"""The speech model that STT_MODEL names: its name, its files, and loading it once per process. No audio here.

Every problem with a model is a ConfigurationError before the first file is transcribed: a missing model must stop a
batch, not fail each of its files.
"""

import logging
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from stt_pipeline.errors import ConfigurationError, ModelNotDownloadedError
from stt_pipeline.process_cache import once_per_process
from stt_pipeline.speech import whisper_internals

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

DEMO = "demo"
"""Name of the tiny model in this package. Its vocabulary is that of synthetic meetings only."""

Device = Literal["auto", "cpu", "cuda"]

HUB_TIMEOUT_SECONDS = 4.0
"""Timeout of a request to the model hub. Its client has none for `model_info`, and tries twice: the longest wait is twice this."""

_log = logging.getLogger(__name__)

# The threads of a small model mostly wait for each other: on two cores Whisper base transcribes 1.4 times as much with two
# workers of one thread as with one worker of two, and the demo model 1.5 times
_SMALL_WIDTH = 512  # of the decoder of Whisper base
_THREADS = 4  # of larger ones: CTranslate2's default; more cores give more workers

# faster-whisper downloads a missing tokenizer, so a folder without one is incomplete
_REQUIRED_FILES = ("model.bin", "config.json", "tokenizer.json", "vocabulary.*")

_LARGEST_DECODER = (32, 1280)  # layers and width of large-v3


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A Whisper model in memory.

    Attributes:
        name: the resolved name, not ``auto``.
        device: "cpu" or "cuda".
        compute_type: of CTranslate2, resolved.
        languages: codes of the languages that it supports.
        workers: model batches that it can decode in parallel.
        layers: layers of its decoder.
        width: width of a decoder layer.
    """

    name: str
    whisper: "WhisperModel"
    device: str
    compute_type: str
    languages: tuple[str, ...]
    workers: int = 1
    layers: int = _LARGEST_DECODER[0]
    width: int = _LARGEST_DECODER[1]


def load_model(
    name: str, device: Device = "auto", compute_type: str = "auto", cpu_threads: int = 0
) -> LoadedModel:
    """Return the model that ``name`` means, loaded once per process. Any thread may call it.

    Args:
        name: ``auto`` (large-v3 on a GPU, small on a CPU), a faster-whisper name, a repository of the Hugging Face hub
            (``owner/model``), a folder with a CTranslate2 Whisper model, or ``demo``.
        device: ``auto`` takes a GPU if there is one.
        compute_type: of CTranslate2; ``auto`` is float16 on a GPU and int8 on a CPU.
        cpu_threads: threads of one worker on a CPU; the number of workers is the number of cores divided by it. 0 means
            1 for models up to the size of Whisper base, and 4 for larger ones.

    Raises:
        ConfigurationError: the model or device does not exist, files are missing, or the hub cannot be reached.
    """
    device = _choose_device(device)
    if compute_type == "auto":
        compute_type = "float16" if device == "cuda" else "int8"
    return _load(resolve_name(name, device), device, compute_type, cpu_threads)


def usable_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resolve_name(name: str, device: Literal["cpu", "cuda"]) -> str:
    """Return the model's own name: ``auto`` and an empty name depend on ``device``, a folder gets its absolute path."""
    if name in ("", "auto"):
        return "large-v3" if device == "cuda" else "small"
    if name != DEMO and _looks_like_folder(name):
        return str(Path(name).expanduser().absolute())
    return name


def find_files(name: str, *, local_files_only: bool = False) -> Path:
    """Return the folder with the files of model ``name``, and download them if necessary.

    ``demo``, a folder and a model that was downloaded before need no network.

    Args:
        name: as returned by :func:`resolve_name`.
        local_files_only: never download.

    Raises:
        ConfigurationError: the model does not exist, or files of its folder are missing.
        ModelNotDownloadedError: it is not on this machine, and the hub cannot be reached or ``local_files_only`` is set.
    """
    if name == DEMO:
        return _check_complete(Path(str(resources.files("stt_pipeline.speech") / "demo_model")))
    if _looks_like_folder(name):
        return _check_complete(Path(name).expanduser())
    return _from_hub(name, _repository(name), local_files_only=local_files_only)


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


def _check_complete(folder: Path) -> Path:
    if not folder.is_dir():
        raise ConfigurationError(f"The model folder {folder} does not exist: check STT_MODEL.")
    missing = [pattern for pattern in _REQUIRED_FILES if not any(folder.glob(pattern))]
    if missing:
        raise ConfigurationError(
            f"The model folder {folder} is not complete: {', '.join(missing)} missing. STT_MODEL needs a Whisper model in "
            "CTranslate2 format: run `hf download Systran/faster-whisper-small --local-dir DIR` to get one."
        )
    return folder


def _repository(name: str) -> str:
    repositories = whisper_internals.hub_repositories()
    if name in repositories:
        return repositories[name]
    if name.count("/") == 1:
        return name
    raise ConfigurationError(
        f"STT_MODEL={name} is neither a folder nor a known model. Known are auto, {DEMO}, {', '.join(repositories)}."
    )


def _from_hub(name: str, repository: str, *, local_files_only: bool) -> Path:
    from faster_whisper import download_model
    from huggingface_hub import HfApi
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

    # it advertises tokens; its failures are raised as errors
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    not_here = f"The speech model {name} ({repository}) is not on this machine"
    elsewhere = f"On a machine with a network run `hf download {repository} --local-dir DIR`, copy DIR here and set STT_MODEL=DIR."
    try:
        return _check_complete(Path(download_model(repository, local_files_only=True)))
    except (LocalEntryNotFoundError, ConfigurationError) as error:  # never downloaded, or not completely
        if local_files_only:
            raise ModelNotDownloadedError(f"{not_here}. {elsewhere}") from error
    try:
        HfApi().model_info(repository, timeout=HUB_TIMEOUT_SECONDS)
        _log.info("Downloading the speech model %s (%s), once.", name, repository)
        return _check_complete(Path(download_model(repository)))
    except RepositoryNotFoundError as error:
        raise ConfigurationError(
            f"STT_MODEL={name}: {repository} is not on the Hugging Face hub, or is private (then set HF_TOKEN)."
        ) from error
    except ConfigurationError:
        raise
    except Exception as error:  # the hub's client does not wrap the errors of its HTTP library
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelNotDownloadedError(
            f"{not_here} and could not be downloaded: {reason}. {elsewhere}"
        ) from error


@once_per_process()
def _load(name: str, device: str, compute_type: str, cpu_threads: int) -> LoadedModel:
    from faster_whisper import WhisperModel

    folder = find_files(name)
    cores = usable_cores()
    try:
        layers, width = whisper_internals.decoder_shape(folder / "model.bin") or _LARGEST_DECODER
        threads = min(cores, cpu_threads or (1 if width <= _SMALL_WIDTH else _THREADS))
        workers = cores // threads if device == "cpu" else 1
        whisper = WhisperModel(
            str(folder),
            device=device,
            compute_type=compute_type,
            cpu_threads=threads,
            num_workers=workers,
            local_files_only=True,
        )
        _check_usable(whisper, device)
    except Exception as error:  # RuntimeError or ValueError of CTranslate2, a bare Exception of the tokenizer
        raise ConfigurationError(
            f"The speech model {name} in {folder} does not run on {device} with compute type {compute_type}: {error} "
            f"({_compute_types(device)}. If the model folder is damaged, download it again.)"
        ) from error
    return LoadedModel(
        name,
        whisper,
        device,
        whisper.model.compute_type,
        whisper_internals.language_codes(whisper),
        workers,
        layers,
        width,
    )


def _check_usable(whisper: "WhisperModel", device: str) -> None:
    """Raise a ValueError or RuntimeError if the model cannot transcribe."""
    features = whisper_internals.feature_settings(whisper.feature_extractor)
    bands = len(features.mel_filters)
    if bands != whisper.model.n_mels:
        raise ValueError(
            f"preprocessor_config.json is missing or of another model (it has {bands} mel bands, "
            f"the weights have {whisper.model.n_mels})."
        )
    if device == "cuda":
        # CTranslate2 loads cuBLAS and cuDNN with the first encoding; if they are missing, no file must fail for it
        whisper_internals.encode(whisper, np.zeros((bands, features.max_frames), np.float32))


def _compute_types(device: str) -> str:
    import ctranslate2

    try:
        return f"This {device} supports {', '.join(sorted(ctranslate2.get_supported_compute_types(device)))}"
    except (RuntimeError, ValueError):
        return f"CTranslate2 cannot use {device} here"
