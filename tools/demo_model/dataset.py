"""The corpus on disk and in memory: every utterance spoken once, as log mel power, with its text.

A folder holds ``mel.npy`` (frames, 80; float16), ``noise.npy`` and ``utterances.json``. windows.py makes windows from it.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import accumulate
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from tools.demo_model.corpus import Utterance
from tools.demo_model.features import Mel, log_mel, noises
from tools.demo_model.grammar import Language
from tools.demo_model.jamo import jamo, jamo_vocabulary
from tools.demo_model.synthesis import speak

_NOISE_SECONDS, _NOISE_SEED = 45.0, 5


@dataclass(frozen=True, slots=True)
class EncodedUtterance:
    """An utterance as tokens, jamo and frames.

    ``token_times`` has the time of each token as a fraction of the utterance, 0 to 1: an estimate from the length of the
    text, exact enough to guide attention.
    """

    language: Language
    tokens: list[int]
    token_times: NDArray[np.float64]
    jamo: list[int]
    first_frame: int
    frames: int


class Dataset:
    """All utterances of a folder that :func:`synthesize` wrote."""

    def __init__(self, folder: Path, tokenizer: Tokenizer) -> None:
        description = json.loads((folder / "utterances.json").read_text(encoding="utf-8"))
        self._mel: NDArray[np.float16] = np.load(folder / "mel.npy", mmap_mode="r")
        self.noise: NDArray[np.float32] = np.load(folder / "noise.npy")
        vocabulary = jamo_vocabulary(row["spoken"] for row in description)
        self.jamo_size = len(vocabulary) + 1  # with the blank
        durations = _token_durations(tokenizer)
        starts = accumulate((row["frames"] for row in description), initial=0)
        self.utterances = [
            _encoded(row, start, tokenizer, durations, vocabulary)
            for row, start in zip(description, starts, strict=False)  # the last start is the end of the data
        ]
        self.by_language = {
            language: [utterance for utterance in self.utterances if utterance.language == language]
            for language in ("ko", "en")
        }

    def mel(self, utterance: EncodedUtterance) -> Mel:
        """Return the utterance's log mel power ``(frames, 80)``."""
        start = utterance.first_frame
        return np.asarray(self._mel[start : start + utterance.frames], np.float32)


def synthesize(utterances: Sequence[Utterance], folder: Path, processes: int) -> float:
    """Synthesize all utterances with espeak-ng, write them to ``folder``, and return the seconds of speech."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        mels = list(pool.map(_mel_of, utterances, chunksize=32))
    rows = [
        {"language": utterance.language, **asdict(utterance.sentence), "frames": len(mel)}
        for utterance, mel in zip(utterances, mels, strict=True)
    ]
    np.save(folder / "mel.npy", np.concatenate(mels))
    np.save(folder / "noise.npy", noises(_NOISE_SECONDS, _NOISE_SEED))
    (folder / "utterances.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return sum(len(mel) for mel in mels) / 100


def _mel_of(utterance: Utterance) -> NDArray[np.float16]:
    return log_mel(speak(utterance.sentence.spoken, utterance.language, utterance.voice)).astype(np.float16)


def _encoded(
    row: dict[str, Any],
    first_frame: int,
    tokenizer: Tokenizer,
    durations: NDArray[np.float64],
    vocabulary: dict[str, int],
) -> EncodedUtterance:
    tokens = tokenizer.encode(" " + row["written"], add_special_tokens=False).ids
    lengths = durations[tokens]
    times = (np.cumsum(lengths) - lengths / 2) / lengths.sum()
    sounds = [vocabulary[letter] for letter in jamo(row["spoken"])]
    return EncodedUtterance(row["language"], tokens, times, sounds, first_frame, row["frames"])


def _token_durations(tokenizer: Tokenizer) -> NDArray[np.float64]:
    """Return the relative duration of each token: a digit is a whole word, a syllable is longer than a letter."""

    def duration(character: str) -> float:
        if character.isdigit():
            return 5.0
        if not character.isascii():
            return 3.0
        return 1.2 if character.isalpha() else 0.2

    texts = (tokenizer.decode([token]) for token in range(tokenizer.get_vocab_size()))
    return np.array([sum(map(duration, text)) or 0.2 for text in texts])
