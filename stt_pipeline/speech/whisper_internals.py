"""All uses of undocumented API of faster-whisper and CTranslate2, each with its reason.

No other module imports a private or undocumented name of them. An upgrade may move one: then a test of
`test_whisper_internals.py` fails under its name, and only this module changes.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from faster_whisper.feature_extractor import FeatureExtractor
    from faster_whisper.tokenizer import Tokenizer

FRAMES_PER_SECOND = 100
"""Frames of Whisper's log-mel spectrogram in one second."""

VAD_STATE_SHAPE = (1, 1, 128)
"""Shape of each of the two states of Silero VAD's LSTM."""

VAD_CONTEXT = 64
"""Samples before each frame that Silero VAD takes as input together with the frame."""

# faster-whisper's own defaults of `prepend_punctuations` and `append_punctuations`
_PREPEND_PUNCTUATIONS = "\"'“¿([{-"
_APPEND_PUNCTUATIONS = "\"'.。,，!！?？:：”)]}、"

_MODEL_FILE_VERSION = 6
_DECODER_LAYER = re.compile(r"decoder/layer_(\d+)/")
_DECODER_POSITIONS = "decoder/position_encodings/encodings"


def hub_repositories() -> Mapping[str, str]:
    """Return the Hugging Face repository of each model name.

    Private `utils._MODELS`: `available_models` has the names only, and messages and downloads need the repository.
    """
    from faster_whisper.utils import _MODELS

    return cast("Mapping[str, str]", _MODELS)


def decoder_shape(model_file: Path) -> tuple[int, int] | None:
    """Return the number of layers and the width of the decoder; None for a file format that is not known.

    The file format is private: CTranslate2 has no API for these figures, and the size of a model batch depends on them.
    `ctranslate2.specs.model_spec` writes a header, and for each variable its name, shape, type and data.
    """
    with model_file.open("rb") as file:

        def number(size: int) -> int:
            return int.from_bytes(file.read(size), "little")

        def text() -> str:
            return file.read(number(2)).rstrip(b"\0").decode()

        if number(4) != _MODEL_FILE_VERSION:
            return None
        text()  # name of the specification
        number(4)  # its revision
        layers, width = set(), 0
        for _ in range(number(4)):
            name = text()
            shape = [number(4) for _ in range(number(1))]
            number(1)  # type
            file.seek(number(4), os.SEEK_CUR)
            if found := _DECODER_LAYER.match(name):
                layers.add(found[1])
            if name == _DECODER_POSITIONS:
                width = shape[-1]
        return (len(layers), width) if layers and width else None


@dataclass(frozen=True, slots=True)
class FeatureSettings:
    """Settings of the log-mel spectrogram of one model.

    Attributes:
        n_fft: samples of one Fourier transform.
        hop_length: samples from one frame to the next.
        mel_filters: float32 ``(bands, n_fft // 2 + 1)``.
        max_frames: frames of the longest chunk.
        chunk_seconds: length of the longest chunk.
    """

    n_fft: int
    hop_length: int
    mel_filters: npt.NDArray[np.float32]
    max_frames: int
    chunk_seconds: float


def feature_settings(extractor: "FeatureExtractor") -> FeatureSettings:
    """Return the settings of a model's `FeatureExtractor`.

    Its attributes are undocumented: our own spectrogram (`engine.spectrogram`) must have the model's settings.
    """
    return FeatureSettings(
        extractor.n_fft,
        extractor.hop_length,
        np.asarray(extractor.mel_filters, np.float32),
        extractor.nb_max_frames,
        float(extractor.chunk_length),
    )


def language_codes(whisper: "WhisperModel") -> tuple[str, ...]:
    """Return the codes of the languages that the model has a token for.

    Undocumented `hf_tokenizer`: `supported_languages` has all of Whisper's languages for every multilingual model.
    """
    if not whisper.model.is_multilingual:
        return ("en",)
    return tuple(
        code
        for code in whisper.supported_languages
        if whisper.hf_tokenizer.token_to_id(f"<|{code}|>") is not None
    )


def tokenizer_of(whisper: "WhisperModel", language: str) -> "Tokenizer":
    """Return the tokenizer of the model for transcription in one language.

    Undocumented class: `WhisperModel.transcribe` makes one for one language, a model batch here has several.
    """
    from faster_whisper.tokenizer import Tokenizer

    return Tokenizer(
        whisper.hf_tokenizer, whisper.model.is_multilingual, task="transcribe", language=language
    )


def suppressed_tokens(tokenizer: "Tokenizer") -> list[int]:
    """Return the tokens that the decoder must not write: Whisper's default list (``suppress_tokens=[-1]``).

    Undocumented `get_suppressed_tokens`: CTranslate2's own default leaves out the special tokens.
    """
    from faster_whisper.transcribe import get_suppressed_tokens

    return list(get_suppressed_tokens(tokenizer, [-1]))


def prompt(whisper: "WhisperModel", tokenizer: "Tokenizer", hotwords: str) -> list[int]:
    """Return the prompt of one chunk, with hotwords and without earlier text.

    Undocumented `get_prompt`: prompts must be those of `WhisperModel.transcribe`.
    """
    return list(whisper.get_prompt(tokenizer, [], hotwords=hotwords or None))


def encode(whisper: "WhisperModel", features: npt.NDArray[np.float32]) -> Any:
    """Return the encoder's output as a CTranslate2 `StorageView`, on the model's device.

    Undocumented `encode`: language, text and word times use the same output; `transcribe` encodes once more for the language.

    Args:
        features: float32 ``(bands, frames)`` or ``(chunks, bands, frames)``.
    """
    return whisper.encode(features)


def split_segments(
    whisper: "WhisperModel", tokenizer: "Tokenizer", tokens: Sequence[int], frames: int
) -> tuple[list[dict[str, Any]], int]:
    """Return the segments of a chunk, split at timestamp tokens, and the frame up to which there is text (``seek``).

    Private `_split_segments_by_timestamps`: the rules of Whisper for timestamps are long, and the batched pipeline drops
    the text behind the last one.

    Args:
        frames: of the chunk, without padding.
    """
    segments, seek, _ = whisper._split_segments_by_timestamps(
        tokenizer, tokens, 0.0, frames, frames / FRAMES_PER_SECOND, 0
    )
    return segments, seek


def align_words(
    whisper: "WhisperModel",
    tokenizer: "Tokenizer",
    texts: Sequence[Sequence[int]],
    encoded: Any,
    frames: Sequence[int],
) -> list[list[dict[str, Any]]]:
    """Return the words of each chunk with their times, for texts of one language; empty texts have none.

    Undocumented `find_alignment`: it takes a whole model batch, and the encoder's output that exists already.
    """
    return cast("list[list[dict[str, Any]]]", whisper.find_alignment(tokenizer, texts, encoded, list(frames)))


def words_of_segments(
    segments: Sequence[Mapping[str, Any]],
    alignment: list[dict[str, Any]],
    tokenizer: "Tokenizer",
) -> list[list[dict[str, Any]]]:
    """Return the words of each segment of one chunk, with punctuation joined to them.

    Undocumented `add_word_timestamps`, called on `_AlignedModel`, because the alignment of the batch exists already.

    Args:
        segments: of :func:`split_segments`.
        alignment: of :func:`align_words`, for this chunk.
    """
    from faster_whisper import WhisperModel

    timed: list[dict[str, Any]] = [dict(segment, seek=0) for segment in segments]
    WhisperModel.add_word_timestamps(
        _AlignedModel(alignment),
        [timed],
        tokenizer,
        None,
        0,
        _PREPEND_PUNCTUATIONS,
        _APPEND_PUNCTUATIONS,
        0.0,
    )
    return [segment["words"] for segment in timed]


class _AlignedModel:
    """What `add_word_timestamps` reads of a `WhisperModel`, with an alignment that was computed before."""

    frames_per_second = FRAMES_PER_SECOND

    def __init__(self, alignment: list[dict[str, Any]]) -> None:
        self._alignment = alignment

    def find_alignment(self, *_: object) -> list[list[dict[str, Any]]]:
        return [self._alignment]


def vad_session() -> Any:
    """Return the ONNX session of Silero VAD: inputs ``input``, ``h``, ``c``; outputs probabilities, ``h``, ``c``.

    Undocumented `get_vad_model().session`: faster-whisper's own call takes a whole recording, ours takes it in blocks.
    """
    from faster_whisper.vad import get_vad_model

    return get_vad_model().session
