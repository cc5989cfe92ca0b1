"""The curriculum: the kinds of windows at each point of the training, as batches of tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch import Tensor

from tools.demo_model.windows import Window, WindowMaker, WindowShape

ENCODER_FRAMES = 3000
"""Frames of a full window: Whisper pads with zeros to 30 s."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Shares of short (4 to 6 s), middle (7 to 15 s) and full windows up to ``until`` of the training (0 to 1).

    Full ones have up to ``content`` frames of audio. Windows with several sentences are used from the start: a model that is
    trained on single sentences fails on them.
    """

    until: float
    short: float
    middle: float
    full: float
    content: int


STAGES = (
    Stage(0.40, 0.25, 0.75, 0.0, 1000),
    Stage(0.55, 0.15, 0.30, 0.55, 1000),
    Stage(0.70, 0.15, 0.30, 0.55, 2000),
    Stage(1.00, 0.15, 0.30, 0.55, 3000),
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of one size, padded to equal token counts. ``mel`` is ``(batch, 80, frames)``, the others ``(batch, tokens)``."""

    kind: str
    mel: Tensor
    tokens: Tensor
    weights: Tensor
    positions: Tensor
    jamo: list[list[int]]

    @property
    def seconds(self) -> float:
        """Length of all windows together."""
        return self.mel.shape[0] * self.mel.shape[2] / 100


def draw_batch(maker: WindowMaker, progress: float, step: int) -> Batch:
    """Return the batch of a step.

    The sizes depend on the step alone, so that processes with different makers work on batches of equal cost.
    """
    rng = Random(step)
    stage = next(stage for stage in STAGES if progress <= stage.until)
    kind = rng.choices(("short", "middle", "full"), (stage.short, stage.middle, stage.full))[0]
    if kind == "short":
        content = rng.choice((400, 450, 500, 600))
        shapes = [WindowShape(content, content + rng.choice((0, 0, 60, 200)), 0.3)] * 6
    elif kind == "middle":
        content = rng.choice((700, 900, 1100, 1500))
        shapes = [WindowShape(content, content + rng.choice((0, 0, 100, 300)), 0.3)] * 4
    else:
        contents = [rng.choice((stage.content,) * 3 + (rng.randint(400, stage.content),)) for _ in range(3)]
        shapes = [WindowShape(content, ENCODER_FRAMES, 0.6) for content in contents]
    return _stacked(kind, [maker.draw(shape) for shape in shapes], maker.end)


def _stacked(kind: str, windows: Sequence[Window], end: int) -> Batch:
    length = max(len(window.tokens) for window in windows)
    shape = (len(windows), length)
    tokens, weights = np.full(shape, end), np.zeros(shape, np.float32)
    positions = np.full(shape, -1.0, np.float32)
    for row, window in enumerate(windows):
        used = slice(0, len(window.tokens))
        tokens[row, used], weights[row, used] = window.tokens, window.weights
        positions[row, used] = window.positions
    mel = np.stack([window.mel for window in windows]).transpose(0, 2, 1)
    return Batch(
        kind,
        torch.from_numpy(np.ascontiguousarray(mel)),
        torch.from_numpy(tokens),
        torch.from_numpy(weights),
        torch.from_numpy(positions),
        [window.jamo for window in windows],
    )
