"""Initial values of the parameters. The encoder begins with heads that attend a few frames to the left and to the right.

With ordinary random values, a model of this size on this amount of data stays a language model that ignores the audio.
"""

import torch
from torch import Tensor, nn

from tools.demo_model.model import Attention, Whisper, frequencies

# offsets of the heads of each encoder layer, in positions of 0.02 s, and the sharpness of their attention
_OFFSETS = ((-3, 0, 3), (-5, 0, 5), (-6, 0, 6), (-8, 0, 8))
_SHARPNESS = (1.1, 1.25, 1.4, 1.5)
_FASTEST_SINE = 3  # the first sines have periods of a few positions: too short for a distance
_CONTENT = 0.25  # share of the random projection that is kept
_RESIDUAL = 0.35  # limits the growth of the sum over the layers


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
            _attend_locally(
                layer.self_attn, _OFFSETS[depth % len(_OFFSETS)], _SHARPNESS[depth % len(_SHARPNESS)]
            )


def _attend_locally(attention: Attention, offsets: tuple[int, ...], sharpness: float) -> None:
    """Make head h attend to the position at a distance of ``offsets[h]``.

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
