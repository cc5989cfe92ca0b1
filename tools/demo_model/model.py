"""Whisper's network in plain PyTorch, which allows windows of any length and access to the attention.

The parameters have the names of ``transformers.WhisperForConditionalGeneration``, for export.py. Only the training uses the
CTC head, and the attention heads that keep their weights for the guided attention loss.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (the field's own name)
from torch import Tensor, nn

from tools.demo_model.features import MELS
from tools.demo_model.windows import MAX_TOKENS

POSITIONS = 1500  # of the encoder; faster-whisper accepts no other number


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Sizes of the network. ``guided_heads`` is the number of heads with guided attention in each decoder layer."""

    vocabulary: int
    jamo: int
    width: int = 192
    heads: int = 3
    feed_forward: int = 768
    encoder_layers: int = 4
    guided_heads: tuple[int, ...] = (1, 2)

    @property
    def decoder_layers(self) -> int:
        """Length of ``guided_heads``."""
        return len(self.guided_heads)


def sinusoids(length: int, width: int) -> Tensor:
    """Return Whisper's fixed positions ``(length, width)``: sines, then cosines (Vaswani et al. 2017)."""
    angles = torch.arange(length)[:, None] * frequencies(width)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def frequencies(width: int) -> Tensor:
    """Return the angle per position of each sine ``(width / 2,)``, from 1 down to 1 / 10000."""
    half = width // 2
    return torch.exp(-math.log(10_000) / (half - 1) * torch.arange(half))


class Attention(nn.Module):
    """Multi-head attention. With ``guided`` > 0, ``guide`` keeps these heads' attention after each call."""

    def __init__(self, width: int, heads: int, guided: int = 0) -> None:
        super().__init__()
        self.heads, self.guided = heads, guided
        self.guide: Tensor | None = None
        self.q_proj, self.k_proj = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.v_proj, self.out_proj = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, inputs: Tensor, memory: Tensor, *, causal: bool = False) -> Tensor:
        queries, keys = self._split(self.q_proj(inputs)), self._split(self.k_proj(memory))
        values = self._split(self.v_proj(memory))
        if self.guided and self.training:
            scores = queries[:, : self.guided] @ keys[:, : self.guided].transpose(-1, -2)
            self.guide = (scores.float() / math.sqrt(queries.shape[-1])).softmax(-1)
        attended = F.scaled_dot_product_attention(queries, keys, values, is_causal=causal)
        return self.out_proj(attended.transpose(1, 2).reshape(inputs.shape))

    def _split(self, inputs: Tensor) -> Tensor:
        batch, length, _ = inputs.shape
        return inputs.view(batch, length, self.heads, -1).transpose(1, 2)


class EncoderLayer(nn.Module):
    """Self-attention, then two fully connected layers."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.self_attn = Attention(shape.width, shape.heads)
        self.self_attn_layer_norm = nn.LayerNorm(shape.width)
        self.fc1 = nn.Linear(shape.width, shape.feed_forward)
        self.fc2 = nn.Linear(shape.feed_forward, shape.width)
        self.final_layer_norm = nn.LayerNorm(shape.width)

    def forward(self, inputs: Tensor) -> Tensor:
        normal = self.self_attn_layer_norm(inputs)
        inputs = inputs + self.self_attn(normal, normal)
        return inputs + self.fc2(F.gelu(self.fc1(self.final_layer_norm(inputs))))


class DecoderLayer(nn.Module):
    """Self-attention, attention to the encoder, then two fully connected layers."""

    def __init__(self, shape: ModelShape, guided: int) -> None:
        super().__init__()
        self.self_attn = Attention(shape.width, shape.heads)
        self.self_attn_layer_norm = nn.LayerNorm(shape.width)
        self.encoder_attn = Attention(shape.width, shape.heads, guided)
        self.encoder_attn_layer_norm = nn.LayerNorm(shape.width)
        self.fc1 = nn.Linear(shape.width, shape.feed_forward)
        self.fc2 = nn.Linear(shape.feed_forward, shape.width)
        self.final_layer_norm = nn.LayerNorm(shape.width)

    def forward(self, inputs: Tensor, memory: Tensor) -> Tensor:
        normal = self.self_attn_layer_norm(inputs)
        inputs = inputs + self.self_attn(normal, normal, causal=True)
        inputs = inputs + self.encoder_attn(self.encoder_attn_layer_norm(inputs), memory)
        return inputs + self.fc2(F.gelu(self.fc1(self.final_layer_norm(inputs))))


class Encoder(nn.Module):
    """Maps log-mel frames to half that number of vectors."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(MELS, shape.width, 3, padding=1)
        self.conv2 = nn.Conv1d(shape.width, shape.width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding.from_pretrained(sinusoids(POSITIONS, shape.width))
        self.layers = nn.ModuleList(EncoderLayer(shape) for _ in range(shape.encoder_layers))
        self.layer_norm = nn.LayerNorm(shape.width)

    def forward(self, mel: Tensor) -> Tensor:
        states = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        states = states + self.embed_positions.weight[: states.shape[1]]
        for layer in self.layers:
            states = layer(states)
        return self.layer_norm(states)


class Decoder(nn.Module):
    """Maps tokens to a vector for each next token."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.embed_positions = nn.Embedding(MAX_TOKENS, shape.width)
        self.layers = nn.ModuleList(DecoderLayer(shape, guided) for guided in shape.guided_heads)
        self.layer_norm = nn.LayerNorm(shape.width)

    def forward(self, tokens: Tensor, memory: Tensor) -> Tensor:
        states = self.embed_tokens(tokens) + self.embed_positions.weight[: tokens.shape[1]]
        for layer in self.layers:
            states = layer(states, memory)
        return self.layer_norm(states)


class Core(nn.Module):
    """Encoder and decoder, under the names of transformers."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(shape), Decoder(shape)


class Whisper(nn.Module):
    """The whole network; ``forward`` returns logits of the next tokens, and of the jamo of the encoder."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.shape = shape
        self.model = Core(shape)
        self.ctc = nn.Linear(shape.width, shape.jamo)

    def forward(self, mel: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(batch, tokens, vocabulary)`` and ``(batch, frames / 2, jamo)``."""
        memory = self.model.encoder(mel)
        states = self.model.decoder(tokens, memory)
        return F.linear(states, self.model.decoder.embed_tokens.weight), self.ctc(memory)

    def guides(self) -> list[Tensor]:
        """Return the last attention of the guided heads, ``(batch, heads, tokens, frames / 2)`` for each decoder layer."""
        found = (module.guide for module in self.model.decoder.modules() if isinstance(module, Attention))
        return [guide for guide in found if guide is not None]
