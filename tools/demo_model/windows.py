"""Training examples: windows of audio with several utterances, and the target tokens."""

from dataclasses import dataclass
from functools import partial
from random import Random

import numpy as np
from tokenizers import Tokenizer

from tools.demo_model import tokenizer as special
from tools.demo_model.dataset import Dataset, EncodedUtterance
from tools.demo_model.features import (
    FLOOR,
    FRAMES_PER_SECOND,
    MELS,
    Mel,
    mixed,
    normalized,
    telephoned,
    warped,
)
from tools.demo_model.grammar import LANGUAGES, Language

MAX_TOKENS = 448  # Whisper's decoder positions

_FRAMES_PER_POSITION = 2  # the encoder halves the rate
_FRAMES_PER_TIMESTAMP = 2  # 0.02 s
_LAST_TIMESTAMP = 1500

_ENGLISH, _TIMESTAMPS, _PROMPT, _SILENCE = 0.2, 0.75, 0.12, 0.025  # shares of all windows
_NOISE, _WARP, _MASK, _TELEPHONE = 0.75, 0.6, 0.3, 0.1
_LONGEST_PROMPT = 150


@dataclass(frozen=True, slots=True)
class Placed:
    """An utterance in a window, in frames; ``end`` is None if the window ends inside it."""

    utterance: EncodedUtterance
    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Window:
    """Input and target of one training example.

    ``mel`` is normalised, ``(frames, 80)``. ``tokens``, ``weights`` and ``positions`` have one entry per token: its id, its
    weight in the loss (0 or 1), and its encoder position (-1: none). ``jamo`` is the CTC target.
    """

    mel: Mel
    tokens: list[int]
    weights: list[int]
    positions: list[float]
    jamo: list[int]


@dataclass(frozen=True, slots=True)
class WindowShape:
    """``content`` frames of audio, padded with zeros to ``frames``; ``cut_share`` of the windows end inside a sentence."""

    content: int
    frames: int
    cut_share: float


class WindowMaker:
    """Draws windows from a dataset; equal seeds draw equal windows."""

    def __init__(self, dataset: Dataset, tokenizer: Tokenizer, seed: int) -> None:
        self._dataset, self._rng = dataset, Random(seed)
        token = partial(special.token_id, tokenizer)
        self.end, self._start, self._previous = (
            token(special.END),
            token(special.START),
            token(special.PREVIOUS),
        )
        self._no_speech, self._transcribe = token(special.NO_SPEECH), token(special.TRANSCRIBE)
        self._no_timestamps, self._first_timestamp = token(special.NO_TIMESTAMPS), token("<|0.00|>")
        self._languages = {language: token(special.language_token(language)) for language in LANGUAGES}

    def draw(self, shape: WindowShape) -> Window:
        """Return the next window."""
        rng = self._rng
        language: Language = "en" if rng.random() < _ENGLISH else "ko"
        timestamps = rng.random() < _TIMESTAMPS
        cut = timestamps and rng.random() < shape.cut_share
        placed = [] if rng.random() < _SILENCE else self._arrange(language, shape.content, cut)
        mel = self._sound(placed, shape.content, cut)
        frames = np.zeros((shape.frames, MELS), np.float32)
        frames[: len(mel)] = mel
        tokens, weights, positions = self._text(placed, language, timestamps)
        sounds = [letter for item in placed for letter in _jamo_inside(item, shape.content)]
        return Window(frames, tokens[:MAX_TOKENS], weights[:MAX_TOKENS], positions[:MAX_TOKENS], sounds)

    def _arrange(self, language: Language, content: int, cut: bool) -> list[Placed]:
        """Place utterances one after the other until the window is full; with ``cut``, the last may exceed its end."""
        rng, utterances = self._rng, self._dataset.by_language[language]
        placed: list[Placed] = []
        start = int(rng.uniform(0, 90)) if rng.random() < 0.8 else rng.randint(0, 5)
        while True:
            utterance = rng.choice(utterances)
            end = start + utterance.frames
            if end <= content:
                placed.append(Placed(utterance, start, end))
                start = int(end + rng.choice((rng.uniform(5, 60), rng.uniform(20, 130))))
            elif placed or start == 0:
                if cut and placed and content - start > FRAMES_PER_SECOND // 4:
                    placed.append(Placed(utterance, start, None))
                return placed
            else:
                start //= 2  # the first one must fit: try another, with an earlier start

    def _sound(self, placed: list[Placed], content: int, cut: bool) -> Mel:
        rng = self._rng
        recording_level = rng.uniform(-0.8, 0.4)
        mel = np.full((content, MELS), FLOOR, np.float32)
        for item in placed:
            speech = self._varied(self._dataset.mel(item.utterance)) + recording_level
            part = mel[item.start : item.start + len(speech)]
            np.maximum(part, speech[: len(part)], out=part)
        if placed and not cut:
            last = placed[-1].end or content
            mel = mel[: last + int(rng.uniform(3, 100))]
        if rng.random() < _NOISE or not placed:
            level = rng.uniform(-6.5, -2.2) if placed else rng.uniform(-8, -1.5)
            mel = mixed(mel, self._noise(len(mel)) + level)
        if rng.random() < _TELEPHONE:
            mel = telephoned(mel)
        mel = normalized(mel, headroom=rng.uniform(0, 0.4) if placed else rng.choice((0, rng.uniform(0, 4))))
        if rng.random() < _MASK:  # SpecAugment (Park et al. 2019), in frequency
            width = rng.randint(1, 8)
            band = rng.randint(0, MELS - 1 - width)
            mel[:, band : band + width] = mel.mean()
        return mel

    def _varied(self, mel: Mel) -> Mel:
        if self._rng.random() < _WARP:
            mel = warped(mel, self._rng.uniform(0.92, 1.08))
        return mel + np.float32(self._rng.gauss(0, 0.3))

    def _noise(self, frames: int) -> Mel:
        noise = self._rng.choice(self._dataset.noise)
        start = self._rng.randrange(len(noise) - frames)
        return noise[start : start + frames]

    def _text(
        self, placed: list[Placed], language: Language, timestamps: bool
    ) -> tuple[list[int], list[int], list[float]]:
        """Return tokens, weights and positions; the prompt has weight 0."""
        given = [*self._prompt(language, timestamps), self._start]
        if not placed:
            tokens = [*given, self._no_speech, self.end]
            return tokens, [0] * len(given) + [1, 0], [-1.0] * len(tokens)
        tokens = [*given, self._languages[language], self._transcribe]
        weights = [0] * len(given) + [1, 1]
        if not timestamps:
            tokens.append(self._no_timestamps)
            weights.append(0)
        positions = [-1.0] * len(tokens)
        for item in placed:
            begins = item.start + 1  # the first frame of an utterance is silence
            if item.end is None:
                # the next window begins here, with the rest of the sentence
                tokens.append(self._timestamp(begins))
                positions.append(begins / _FRAMES_PER_POSITION)
                break
            ends = item.end - 2
            times = (begins + item.utterance.token_times * (ends - begins)) / _FRAMES_PER_POSITION
            text, where = item.utterance.tokens, times.tolist()
            if timestamps:
                text = [self._timestamp(begins), *text, self._timestamp(ends)]
                where = [begins / _FRAMES_PER_POSITION, *where, ends / _FRAMES_PER_POSITION]
            tokens += text
            positions += where
        tokens.append(self.end)
        positions.append(-1.0)
        return tokens, weights + [1] * (len(tokens) - len(weights)), positions

    def _prompt(self, language: Language, timestamps: bool) -> list[int]:
        """Return previous text for some windows, because Whisper's decoder may get it as a prompt."""
        rng = self._rng
        if rng.random() >= _PROMPT:
            return []
        text: list[int] = []
        for _ in range(rng.randint(1, 6)):
            tokens = rng.choice(self._dataset.by_language[language]).tokens
            start = self._first_timestamp + rng.randint(0, _LAST_TIMESTAMP - 200)
            text += [start, *tokens, start + 100] if timestamps else tokens
        return [self._previous, *text[-_LONGEST_PROMPT:]]

    def _timestamp(self, frame: int) -> int:
        return self._first_timestamp + min(_LAST_TIMESTAMP, frame // _FRAMES_PER_TIMESTAMP)


def _jamo_inside(item: Placed, content: int) -> list[int]:
    sounds = item.utterance.jamo
    if item.end is not None:
        return sounds
    return sounds[: max(0, int(len(sounds) * (content - item.start) / item.utterance.frames - 0.5))]
