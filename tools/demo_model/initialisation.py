"""First values of the parameters. The encoder begins with heads that look a few frames to the left and to the right.

From ordinary random values so small a model on so little data stays a language model that ignores the sound.
"""

import torch
from torch import Tensor, nn

from tools.demo_model.model import Attention, Whisper, frequencies

# Where the heads of each encoder layer look, in positions of 0.02 s, and how sharply
_OFFSETS = ((-3, 0, 3), (-5, 0, 5), (-6, 0, 6), (-8, 0, 8))
_SHARPNESS = (1.1, 1.25, 1.4, 1.5)
_FASTEST_SINE = 3  # the first sines turn within a few positions: too fast to tell a distance
_CONTENT = 0.25  # how much of the random projection is kept beside the positions
_RESIDUAL = 0.35  # keeps the sum over the layers from growing


def initialise(model: Whisper) -> None:
    """Set all parameters, drawing from torch's global generator."""
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2 and "embed" not in name:
            nn.init.xavier_uniform_(parameter)
    nn.init.normal_(model.model.decoder.embed_tokens.weight, std=0.02)
    nn.init.normal_(model.model.decoder.embed_positions.weight, std=0.01)
    with torch.no_grad():
        model.ctc.bias.zero_()
        for depth, layer in enumerate(model.model.encoder.layers):
            for linear in (
                layer.fc1,
                layer.fc2,
                layer.self_attn.q_proj,
                layer.self_attn.v_proj,
                layer.self_attn.out_proj,
            ):
                linear.bias.zero_()
            layer.fc2.weight *= _RESIDUAL
            layer.self_attn.out_proj.weight *= _RESIDUAL
            _look_around(
                layer.self_attn, _OFFSETS[depth % len(_OFFSETS)], _SHARPNESS[depth % len(_SHARPNESS)]
            )


def _look_around(attention: Attention, offsets: tuple[int, ...], sharpness: float) -> None:
    """Let head h look ``offsets[h]`` positions away.

    With sines s(t) and cosines c(t) of a frequency w as positions, a query turned by w * offset makes the product of query
    at t and key at u the cosine of w * (t + offset - u): summed over frequencies, that is largest at u = t + offset.
    """
    width = attention.q_proj.in_features
    size = width // attention.heads
    pairs = size // 2
    sines = torch.arange(_FASTEST_SINE, _FASTEST_SINE + pairs)
    cosines = sines + width // 2
    rows = torch.arange(pairs)
    for head in range(attention.heads):
        turn = frequencies(width)[sines] * offsets[head % len(offsets)]
        query, key = torch.zeros(size, width), torch.zeros(size, width)
        query[rows, sines], query[rows, cosines] = turn.cos(), turn.sin()
        query[pairs + rows, sines], query[pairs + rows, cosines] = -turn.sin(), turn.cos()
        key[rows, sines], key[pairs + rows, cosines] = 1.0, 1.0
        _blend(attention.q_proj.weight, head, query * sharpness)
        _blend(attention.k_proj.weight, head, key * sharpness)


def _blend(weight: Tensor, head: int, positions: Tensor) -> None:
    rows = slice(head * len(positions), (head + 1) * len(positions))
    weight[rows] = weight[rows] * _CONTENT + positions
