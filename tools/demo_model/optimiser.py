"""AdamW on float32 copies of a bfloat16 model, with warm-up, cosine schedule and a moving average of the parameters."""

import math

import torch
import torch.distributed as dist
from torch import Tensor, nn

_PEAK_RATE, _LAST_SHARE, _WARM_UP_STEPS = 1.5e-3, 0.01, 300
_BETAS, _EPSILON, _WEIGHT_DECAY = (0.9, 0.98), 1e-8, 0.01
_MAX_GRADIENT_NORM = 1.0
_AVERAGE_DECAY = 0.998


class Optimiser:
    """Updates ``model`` in place. ``averaged_state`` is the result: the moving average (Polyak and Juditsky 1992)."""

    def __init__(self, model: nn.Module) -> None:
        self._state = {name: value.detach().clone().float() for name, value in model.state_dict().items()}
        self._names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        self._masters = [self._state[name].clone().requires_grad_() for name in self._names]
        model.bfloat16()  # twice as fast on processors that support it; the masters keep full precision
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._average = [master.detach().clone() for master in self._masters]
        groups = [
            {
                "params": [master for master in self._masters if master.dim() > 1],
                "weight_decay": _WEIGHT_DECAY,
            },
            {"params": [master for master in self._masters if master.dim() < 2], "weight_decay": 0.0},
        ]
        self._adam = torch.optim.AdamW(groups, lr=_PEAK_RATE, betas=_BETAS, eps=_EPSILON)
        self.steps = 0

    def step(self, progress: float) -> float:
        """Apply the gradients, averaged over all processes, and return their norm; ``progress`` is 0 to 1."""
        rate = _PEAK_RATE * min(1.0, (self.steps + 1) / _WARM_UP_STEPS)
        rate *= max(_LAST_SHARE, 0.5 * (1 + math.cos(math.pi * progress)))
        for group in self._adam.param_groups:
            group["lr"] = rate
        norm = self._take_gradients()
        self._adam.step()
        self.steps += 1
        with torch.no_grad():
            torch._foreach_copy_(self._parameters, self._masters)
            # at the start, a short average forgets the random initial values
            decay = min(_AVERAGE_DECAY, self.steps / (self.steps + 20))
            torch._foreach_lerp_(self._average, [master.detach() for master in self._masters], 1 - decay)
        return norm

    def averaged_state(self) -> dict[str, Tensor]:
        """Return a float32 state dict of the averaged parameters."""
        return self._state | {
            name: value.clone() for name, value in zip(self._names, self._average, strict=True)
        }

    def _take_gradients(self) -> float:
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self._parameters]
        flat = torch.cat([gradient.float().flatten() for gradient in gradients])
        if dist.is_initialized():
            dist.all_reduce(flat)
            flat /= dist.get_world_size()
        norm = float(flat.norm())
        flat *= min(1.0, _MAX_GRADIENT_NORM / (norm + 1e-6))
        pieces = flat.split([master.numel() for master in self._masters])
        for parameter, master, piece in zip(self._parameters, self._masters, pieces, strict=True):
            master.grad = piece.view_as(master)
            parameter.grad = None
        return norm
