"""One step of an optimiser after clipping, without a loop over parameters in Python."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class ClippedStep:
    """Clip gradients by their norm, then step; for as long as the optimiser's state is its own.

    A fused Adam is stepped by the call that it makes itself, with lists that it would collect anew
    at every step; the bits are those of ``clip_grad_norm_`` and ``step``.

    Args:
        optimiser: Optimiser of the parameters.
        parameters: All parameters whose gradients count in the norm.
        max_norm: Norm to which longer gradients are cut.
    """

    def __init__(
        self, optimiser: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], max_norm: float
    ) -> None:
        self._optimiser = optimiser
        self._parameters: list[Any] = list(parameters)
        self._max_norm = max_norm
        self._plain = self._is_plain()
        self._lists: tuple[list[Tensor], list[Tensor], list[Tensor]] | None = None

    def drop_gradients(self) -> None:
        """Forget the gradients of the step before."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def take(self) -> None:
        """Clip the gradients and step."""
        gradients = [x.grad for x in self._parameters if x.grad is not None]
        if not self._plain or len(gradients) < len(self._parameters):
            nn.utils.clip_grad_norm_(self._parameters, self._max_norm)
            self._optimiser.step()
            return
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        torch._foreach_mul_(gradients, torch.clamp(self._max_norm / (norm + 1e-6), max=1.0))
        if self._lists is None:
            self._lists = self._collect()
        if self._lists is None:  # the first step makes the optimiser's state
            self._optimiser.step()
            return
        averages, squares, steps = self._lists
        group = self._optimiser.param_groups[0]
        beta1, beta2 = group["betas"]
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            self._parameters, gradients, averages, squares, [], steps,
            lr=group["lr"], beta1=beta1, beta2=beta2, weight_decay=group["weight_decay"],
            eps=group["eps"], amsgrad=False, maximize=False, grad_scale=None, found_inf=None,
        )  # fmt: skip

    def _is_plain(self) -> bool:
        """Tell whether this is a fused Adam of just these parameters, without further options."""
        if type(self._optimiser) is not torch.optim.Adam:
            return False
        (group, *others) = self._optimiser.param_groups
        options = ("amsgrad", "maximize", "differentiable", "decoupled_weight_decay")
        return (
            bool(group["fused"])
            and not others
            and isinstance(group["lr"], float)
            and not any(group.get(option, False) for option in options)
            and all(x.device.type == "cpu" for x in self._parameters)
            and len(group["params"]) == len(self._parameters)
        )

    def _collect(self) -> tuple[list[Tensor], list[Tensor], list[Tensor]] | None:
        states: list[dict[str, Any]] = [self._optimiser.state[x] for x in self._parameters]
        if not all(states):
            return None
        averages, squares, steps = (
            [state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step")
        )
        return averages, squares, steps
