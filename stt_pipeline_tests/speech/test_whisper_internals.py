"""Canaries: each undocumented name of faster-whisper and CTranslate2 is still there, and still does the same.

If one fails after an upgrade, `stt_pipeline/speech/whisper_internals.py` must follow the library.
"""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from stt_pipeline.audio.decode import decode
from stt_pipeline.speech import whisper_internals
from stt_pipeline.speech.models import LoadedModel, find_files, load_model
from stt_pipeline_tests.conftest import SAMPLES

ROOT = Path(__file__).parents[2]
FRAMES = 500


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load_model("demo", "cpu")


@pytest.fixture(scope="module")
def features(loaded: LoadedModel) -> np.ndarray:
    """The spectrogram of 5 s of speech, padded to a window."""
    samples = decode(SAMPLES / "weekly-budget.wav")[: 5 * 16_000]
    spectrogram = loaded.whisper.feature_extractor(samples)[:, :FRAMES]
    return np.pad(spectrogram, ((0, 0), (0, 3000 - FRAMES))).astype(np.float32)


def test_no_other_module_uses_undocumented_names() -> None:
    private = re.compile(
        r"faster_whisper\.\w+ import|whisper\._|\.(get_prompt|find_alignment|add_word_timestamps|hf_tokenizer)\b"
    )
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in (ROOT / "stt_pipeline").rglob("*.py")
        if path.name != "whisper_internals.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if private.search(line) and "feature_extractor import FeatureExtractor" not in line
        if "tokenizer import Tokenizer" not in line  # types only
    ]
    assert found == []


def test_hub_repositories() -> None:
    from faster_whisper import available_models

    repositories = whisper_internals.hub_repositories()
    assert set(repositories) == set(available_models())
    assert repositories["large-v3"] == "Systran/faster-whisper-large-v3"
    assert all(repository.count("/") == 1 for repository in repositories.values())


def test_decoder_shape(tmp_path: Path) -> None:
    assert whisper_internals.decoder_shape(find_files("demo") / "model.bin") == (2, 192)
    (tmp_path / "model.bin").write_bytes((99).to_bytes(4, "little") + bytes(100))
    assert whisper_internals.decoder_shape(tmp_path / "model.bin") is None


def test_feature_settings(loaded: LoadedModel) -> None:
    settings = whisper_internals.feature_settings(loaded.whisper.feature_extractor)
    assert (settings.n_fft, settings.hop_length) == (400, 160)
    assert (settings.max_frames, settings.chunk_seconds) == (1000, 10), "the demo model takes 10 s"
    assert settings.mel_filters.shape == (loaded.whisper.model.n_mels, 201)


def test_language_codes(loaded: LoadedModel) -> None:
    assert whisper_internals.language_codes(loaded.whisper) == ("en", "ko")


def test_tokenizer_of(loaded: LoadedModel) -> None:
    tokenizer = whisper_internals.tokenizer_of(loaded.whisper, "ko")
    tokens = tokenizer.encode(" 네, 알겠습니다.")
    assert tokenizer.decode(tokens) == " 네, 알겠습니다."
    assert max(tokens) < tokenizer.eot < tokenizer.timestamp_begin


def test_suppressed_tokens(loaded: LoadedModel) -> None:
    tokenizer = whisper_internals.tokenizer_of(loaded.whisper, "ko")
    suppressed = whisper_internals.suppressed_tokens(tokenizer)
    assert set(suppressed) >= {tokenizer.transcribe, tokenizer.translate, tokenizer.sot}
    assert suppressed == sorted(set(suppressed))


def test_prompt(loaded: LoadedModel) -> None:
    tokenizer = whisper_internals.tokenizer_of(loaded.whisper, "ko")
    plain = whisper_internals.prompt(loaded.whisper, tokenizer, "")
    assert plain == list(tokenizer.sot_sequence)
    with_hotwords = whisper_internals.prompt(loaded.whisper, tokenizer, "예산")
    assert with_hotwords == [tokenizer.sot_prev, *tokenizer.encode(" 예산"), *plain]


@pytest.mark.slow
def test_encode(loaded: LoadedModel, features: np.ndarray) -> None:
    encoded = np.asarray(whisper_internals.encode(loaded.whisper, features))
    assert encoded.shape == (1, 1500, loaded.width)
    two = np.asarray(whisper_internals.encode(loaded.whisper, np.stack([features] * 2)))
    assert two.shape == (2, 1500, loaded.width)


def test_split_segments(loaded: LoadedModel) -> None:
    tokenizer = whisper_internals.tokenizer_of(loaded.whisper, "ko")

    def at(seconds: float) -> int:
        return int(tokenizer.timestamp_begin) + round(seconds / 0.02)

    text = tokenizer.encode(" 네.")
    segments, seek = whisper_internals.split_segments(
        loaded.whisper, tokenizer, [at(0), *text, at(2), at(2), *text, at(3), at(3), *text], FRAMES
    )
    assert [(segment["start"], segment["end"]) for segment in segments] == [(0.0, 2.0), (2.0, 3.0)]
    assert seek == 300, "the text behind the last timestamp is to be decoded again"


@pytest.mark.slow
def test_align_words_and_words_of_segments(loaded: LoadedModel, features: np.ndarray) -> None:
    tokenizer = whisper_internals.tokenizer_of(loaded.whisper, "ko")
    encoded = whisper_internals.encode(loaded.whisper, np.stack([features] * 2))
    text = tokenizer.encode(" 네, 알겠습니다.")
    first, second = whisper_internals.align_words(
        loaded.whisper, tokenizer, [text, []], encoded, [FRAMES, FRAMES]
    )
    assert second == []
    assert {"word", "tokens", "start", "end", "probability"} <= first[0].keys()
    segment = {"start": 0.0, "end": 5.0, "tokens": text}
    (words,) = whisper_internals.words_of_segments([segment], first, tokenizer)
    assert [word["word"] for word in words] == [" 네,", " 알겠습니다."], "punctuation is part of its word"
    assert all(0 <= word["start"] <= word["end"] <= 5 for word in words)


def test_the_alignment_needs_nothing_else_of_the_model() -> None:
    from faster_whisper import WhisperModel

    used = set(re.findall(r"self\.(\w+)", inspect.getsource(WhisperModel.add_word_timestamps)))
    assert used == {"find_alignment", "frames_per_second"}


def test_vad_session() -> None:
    session = whisper_internals.vad_session()
    assert {one.name for one in session.get_inputs()} == {"input", "h", "c"}
    state = np.zeros(whisper_internals.VAD_STATE_SHAPE, np.float32)
    frames = np.zeros((3, 512 + whisper_internals.VAD_CONTEXT), np.float32)
    probabilities, h, c = session.run(None, {"input": frames, "h": state, "c": state})
    assert np.asarray(probabilities).size == 3
    assert h.shape == c.shape == whisper_internals.VAD_STATE_SHAPE


def test_vad_probabilities_are_those_of_faster_whisper() -> None:
    from faster_whisper.vad import get_vad_model

    from stt_pipeline.speech.voice_activity import FRAME, VoiceActivity

    samples = decode(SAMPLES / "weekly-budget.wav")[: 100 * FRAME]
    expected = np.asarray(get_vad_model()(samples)).reshape(-1)
    assert np.allclose(VoiceActivity().feed(samples), expected, atol=1e-5)
