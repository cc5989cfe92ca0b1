"""The training data of the demo model, without torch: features, jamo, tokenizer."""

from pathlib import Path
from random import Random

import numpy as np
import pytest

import stt_pipeline
from tools.demo_model.features import FLOOR, log_mel, mixed, noises, normalized, telephoned, warped
from tools.demo_model.grammar import draw_sentence, templates
from tools.demo_model.jamo import jamo, jamo_vocabulary
from tools.demo_model.tokenizer import SPACE, load_tokenizer, write_tokenizer

SHIPPED = Path(stt_pipeline.__file__).parent / "speech" / "demo_model" / "tokenizer.json"


@pytest.fixture
def sound() -> np.ndarray:
    audio = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    audio[:800] = audio[-800:] = (
        0  # faster-whisper pads with a reflection of the audio, this tool with silence
    )
    audio[8_000:16_000] *= 0.001
    return audio


def test_features_are_those_of_faster_whisper(sound: np.ndarray) -> None:
    from faster_whisper.feature_extractor import FeatureExtractor

    theirs = FeatureExtractor()(sound, padding=0)
    np.testing.assert_allclose(normalized(log_mel(sound)).T, theirs, atol=1e-4)


def test_mixed_mel_power_is_that_of_mixed_audio(sound: np.ndarray) -> None:
    other = np.random.default_rng(1).normal(0, 0.1, 32_000).astype(np.float32)
    difference = mixed(log_mel(sound), log_mel(other)) - log_mel(sound + other)
    assert abs(float(difference.mean())) < 0.05  # equal on average; phases change single bands


def test_the_telephone_band_attenuates_other_frequencies(sound: np.ndarray) -> None:
    mel = log_mel(sound)
    lost = (mel - telephoned(mel))[10:40].mean(0)
    assert lost[0] > 3 and lost[-1] > 2.5
    assert np.all(np.abs(lost[12:50]) < 0.1)  # about 450 to 2800 Hz
    assert telephoned(mel).min() >= FLOOR


def test_a_warp_of_one_changes_nothing(sound: np.ndarray) -> None:
    mel = log_mel(sound)
    np.testing.assert_allclose(warped(mel, 1.0), mel)
    assert np.abs(warped(mel, 1.08) - mel).max() > 0.1


def test_noises_are_in_order_of_their_slope() -> None:
    slopes = [float(noise[:, 5].mean() - noise[:, 75].mean()) for noise in noises(2.0, seed=5)]
    assert slopes == sorted(slopes)


def test_jamo_exclude_silent_letters() -> None:
    assert [ord(letter) for letter in jamo("안녕.")] == [0x1161, 0x11AB, 0x1102, 0x1167, 0x11BC]
    assert jamo("OK, go!") == ["o", "k", "g", "o"]
    assert min(jamo_vocabulary(["가나"]).values()) == 1  # 0 is the blank


@pytest.mark.slow
def test_the_tokenizer_is_the_shipped_one(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tokenizer.json")
    assert (tmp_path / "tokenizer.json").read_text() == SHIPPED.read_text()


def test_every_sentence_decodes_to_itself_without_the_single_space_token() -> None:
    tokenizer, rng = load_tokenizer(SHIPPED), Random(11)
    for language in ("ko", "en"):
        for template in templates(language):
            text = " " + draw_sentence(rng, language, template).written
            tokens = tokenizer.encode(text, add_special_tokens=False)
            assert tokenizer.decode(tokens.ids) == text
            assert SPACE not in tokens.tokens  # Whisper suppresses it at the start of a text
