"""The losses of the training: next token, CTC over jamo on the encoder, and guided attention of the decoder."""

from dataclasses import dataclass
from itertools import chain

import torch
import torch.nn.functional as F  # noqa: N812 (the field's own name)
from torch import Tensor

from tools.demo_model.batches import Batch
from tools.demo_model.model import Whisper

_LABEL_SMOOTHING = 0.02
_CTC_WEIGHT, _GUIDE_WEIGHT = 0.7, 0.5
_GUIDE_REACH = 14  # encoder positions: 0.28 s, about the error of the estimated times
_MIN_ATTENTION = 1e-4  # keeps the logarithm finite where there is no attention yet


@dataclass(frozen=True, slots=True)
class Losses:
    """The three terms, each a mean over its targets."""

    tokens: Tensor
    jamo: Tensor
    guide: Tensor

    @property
    def total(self) -> Tensor:
        """The weighted sum to minimise."""
        return self.tokens + _CTC_WEIGHT * self.jamo + _GUIDE_WEIGHT * self.guide


def losses_of(model: Whisper, batch: Batch) -> Losses:
    """Run the model on a batch. It must be in training mode, because the guided heads keep their attention only then."""
    given, wanted = batch.tokens[:, :-1], batch.tokens[:, 1:]
    logits, jamo = model(batch.mel.to(model.ctc.weight.dtype), given)
    return Losses(
        _token_loss(logits.float(), wanted, batch.weights[:, 1:]),
        _jamo_loss(jamo.float(), batch.jamo),
        _guide_loss(model.guides(), batch.positions[:, 1:]),
    )


def _token_loss(logits: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    losses = F.cross_entropy(
        logits.flatten(0, 1), wanted.flatten(), reduction="none", label_smoothing=_LABEL_SMOOTHING
    )
    return (losses.view_as(weights) * weights).sum() / weights.sum().clamp(min=1)


def _jamo_loss(logits: Tensor, wanted: list[list[int]]) -> Tensor:
    """CTC (Graves et al. 2006) on the encoder. Without it, the encoder learns nothing for many steps."""
    batch, positions, _ = logits.shape
    lengths = torch.tensor([len(letters) for letters in wanted])
    losses = F.ctc_loss(
        logits.log_softmax(-1).transpose(0, 1),
        torch.tensor(list(chain.from_iterable(wanted)), dtype=torch.long),
        torch.full((batch,), positions),
        lengths,
        reduction="none",
        zero_infinity=True,
    )
    return losses.sum() / lengths.sum().clamp(min=1)


def _guide_loss(guides: list[Tensor], positions: Tensor) -> Tensor:
    """Return minus the log of the attention near the time of the token. Without it, the decoder ignores a good encoder."""
    known = (positions >= 0).float()
    total = positions.new_zeros(())
    for attention in guides:
        distance = (torch.arange(attention.shape[-1]) - positions[..., None]).abs()
        near = (distance <= _GUIDE_REACH).float()
        inside = (attention * near[:, None]).sum(-1)
        total = total - ((inside + _MIN_ATTENTION).log().mean(1) * known).sum() / known.sum().clamp(min=1)
    return total
