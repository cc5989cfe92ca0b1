"""Error rates of a model on recordings of held-out sentences, in voices of the training and in unseen voices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from stt_pipeline.audio.sound import SoundInMemory
from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.evaluation import ErrorRate, character_error_rate, word_error_rate
from stt_pipeline.speech.models import load_model
from stt_pipeline.speech.postprocess import WithPostprocessing
from stt_pipeline.speech.transcriber import transcribe_one
from tools.demo_model.corpus import draw_corpus
from tools.demo_model.grammar import Language
from tools.demo_model.slots import Phrase
from tools.demo_model.synthesis import HELD_OUT_VARIANTS, SAMPLE_RATE, TRAINING_VARIANTS, Voice, speak

_SEED = 99
_SECONDS = (35.0, 60.0)
_NOISE_LEVELS = (0.0, 0.001, 0.004)  # RMS of white noise


@dataclass(frozen=True, slots=True)
class Group:
    """Recordings of one kind: ``speakers`` variants each, drawn from ``variants``."""

    name: str
    language: Language
    variants: tuple[str, ...]
    speakers: int
    recordings: int


GROUPS = (
    Group("Korean, voices of the training", "ko", TRAINING_VARIANTS, 3, 6),
    Group("Korean, unseen voices", "ko", HELD_OUT_VARIANTS, 2, 6),
    Group("English, voices of the training", "en", TRAINING_VARIANTS, 2, 2),
)


@dataclass(frozen=True, slots=True)
class Score:
    """Error rates over all recordings of a group, and the number of recordings with the correct language."""

    group: Group
    cer: ErrorRate
    wer: ErrorRate
    languages_right: int


def evaluate(model: Path, groups: Sequence[Group] = GROUPS) -> list[Score]:
    """Return the score of the product with the model in this folder for each group; deterministic."""
    transcriber = WithPostprocessing(Engine(load_model(str(model), device="cpu")))
    rng = Random(_SEED)
    held_out = draw_corpus().held_out
    scores = []
    for group in groups:
        sentences = held_out[group.language]
        cer, wer, right = ErrorRate(), ErrorRate(), 0
        for index in range(group.recordings):
            audio, text = _recording(group, sentences, rng, _NOISE_LEVELS[index % len(_NOISE_LEVELS)])
            transcript = transcribe_one(transcriber, SoundInMemory(audio))
            cer += character_error_rate(text, transcript.text)
            wer += word_error_rate(text, transcript.text)
            right += transcript.language == group.language
        scores.append(Score(group, cer, wer, right))
    return scores


def _recording(
    group: Group, sentences: Sequence[Phrase], rng: Random, noise: float
) -> tuple[NDArray[np.float32], str]:
    """Return 35 to 60 seconds of sentences in changing voices with pauses, and their text."""
    voices = [
        Voice(variant, rng.randint(30, 70), rng.randint(140, 185))
        for variant in rng.sample(group.variants, group.speakers)
    ]
    pieces, texts = [_silence(rng.uniform(0.2, 1.0))], list[str]()
    length = rng.uniform(*_SECONDS) * SAMPLE_RATE
    while sum(map(len, pieces)) < length:
        sentence = rng.choice(sentences)
        speech = speak(sentence.spoken, group.language, rng.choice(voices)) * np.float32(
            rng.uniform(0.5, 1.1)
        )
        pieces += [speech, _silence(rng.choice((0.3, 0.5, 0.8, 1.2, 2.5)) * rng.uniform(0.8, 1.2))]
        texts.append(sentence.written)
    audio = np.concatenate(pieces)
    audio += np.random.default_rng(rng.randrange(2**32)).normal(0, noise, len(audio)).astype(np.float32)
    return audio / np.float32(max(1.0, np.abs(audio).max())), " ".join(texts)


def _silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)
