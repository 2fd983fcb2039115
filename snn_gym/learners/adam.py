"""Steps of Adam with less overhead around small networks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

AdamLists = tuple[list[Tensor], list[Tensor], list[Tensor]]
"""Adam's first moments, second moments and step counts."""


class AdamStep:
    """An optimiser's ``step``, equal to the bit, but faster where the optimiser is a fused Adam.

    Without ``exactly`` it is faster for every plain Adam, and the same within rounding.
    """

    def __init__(
        self,
        optimiser: torch.optim.Optimizer,
        parameters: Iterable[Tensor],
        *,
        exactly: bool = True,
    ) -> None:
        self.optimiser = optimiser
        self._exactly = exactly
        self._parameters: list[Any] = list(parameters)
        self._plain = self._is_plain()
        self._lists: AdamLists | None = None
        self._state: Any = None  # of the optimiser, where the lists are from

    def drop_gradients(self) -> None:
        """Set all gradients to None."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def take(self) -> None:
        """Step by the present gradients."""
        gradients = [x.grad for x in self._parameters if x.grad is not None]
        if not self._plain or len(gradients) < len(self._parameters):
            self.optimiser.step()
        else:
            self._step(gradients)

    def _step(self, gradients: list[Any]) -> None:
        """Step by a gradient of each parameter."""
        # Loading a state makes new moments.
        if self._lists is None or self._state is not self.optimiser.state:
            self._lists, self._state = self._collect(), self.optimiser.state
        if self._lists is None:  # the first step makes the optimiser's state
            self.optimiser.step()
            return
        # Adam's own call, with lists that it would collect anew at every step.
        averages, squares, steps = self._lists
        group = self.optimiser.param_groups[0]
        beta1, beta2 = group["betas"]
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            self._parameters, gradients, averages, squares, [], steps,
            lr=group["lr"], beta1=beta1, beta2=beta2, weight_decay=group["weight_decay"],
            eps=group["eps"], amsgrad=False, maximize=False, grad_scale=None, found_inf=None,
        )  # fmt: skip

    def _is_plain(self) -> bool:
        """Return whether this is Adam of just these parameters, without options; fused if exact."""
        group, *more_groups = self.optimiser.param_groups
        options = ("amsgrad", "maximize", "differentiable", "decoupled_weight_decay")
        return (
            type(self.optimiser) is torch.optim.Adam
            and (bool(group["fused"]) or not self._exactly)
            and not more_groups
            and isinstance(group["lr"], float)
            and not any(group.get(option, False) for option in options)
            and all(x.device.type == "cpu" for x in self._parameters)
            and len(group["params"]) == len(self._parameters)
        )

    def _collect(self) -> AdamLists | None:
        """Return Adam's lists, None before a step."""
        states: list[dict[str, Any]] = [self.optimiser.state[x] for x in self._parameters]
        if not all(states):
            return None
        averages, squares, steps = (
            [state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step")
        )
        return averages, squares, steps


class ClippedStep(AdamStep):
    """``clip_grad_norm_`` and ``step``, equal to the bit, but faster for a fused Adam."""

    def __init__(
        self, optimiser: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], max_norm: float
    ) -> None:
        super().__init__(optimiser, parameters)
        self._max_norm = max_norm

    @torch.no_grad()
    def take(self) -> None:
        """Clip the gradients and step."""
        gradients = [x.grad for x in self._parameters if x.grad is not None]
        if not self._plain or len(gradients) < len(self._parameters):
            nn.utils.clip_grad_norm_(self._parameters, self._max_norm)
            self.optimiser.step()
            return
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        # As clip_grad_norm_ does it, to the bit.
        torch._foreach_mul_(gradients, torch.clamp(self._max_norm / (norm + 1e-6), max=1.0))
        self._step(gradients)
