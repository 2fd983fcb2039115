"""Optimisers of policies: Adam in its fastest form, created on first use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, cast

from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import nn
from torch.optim import Adam, Optimizer

from snn_gym._base.lazy import collector_paused

_IMPLEMENTATIONS = {"fused", "foreach", "capturable", "differentiable"}
"""Options of PyTorch's Adam that each ask for an implementation."""


def choose_adam(arguments: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    """Set ``optimizer_kwargs`` in ``arguments``: the given ones, else ``defaults``, and fused.

    Options that choose another implementation, such as ``foreach``, are not fused. Arguments with
    another optimiser than Adam stay unchanged.
    """
    if arguments.get("optimizer_class", Adam) is not Adam:
        return
    options = arguments.get("optimizer_kwargs")
    options = defaults if options is None else options
    # Fused is the fastest implementation by far.
    if options.keys().isdisjoint(_IMPLEMENTATIONS):
        options = {**options, "fused": True}
    arguments["optimizer_kwargs"] = options


class LateOptimiser(BasePolicy):
    """Mixin before a Stable-Baselines3 policy: a default Adam is created on first use."""

    adam_defaults: ClassVar[Mapping[str, Any]]
    _optimizer: Optimizer | partial[Adam] | None

    @property
    def optimizer(self) -> Any:
        """The optimiser, which the first access creates if it was put off."""
        if isinstance(self._optimizer, partial):
            # The first optimiser of a process imports PyTorch's compiler, which takes twice as
            # long as everything else between loading an agent and its first decision.
            with collector_paused():
                self._optimizer = self._optimizer()
        return self._optimizer

    @optimizer.setter
    def optimizer(self, optimiser: Any) -> None:
        self._optimizer = optimiser

    def _build(self, lr_schedule: Schedule) -> None:
        chosen = self.optimizer_class
        # Stable-Baselines3 calls the class itself, in the middle of its build.
        self.optimizer_class = cast(type[Optimizer], partial(self._optimiser, chosen))
        super()._build(lr_schedule)  # type: ignore[misc]
        self.optimizer_class = chosen

    def _optimiser(
        self, kind: type[Optimizer], parameters: Iterable[nn.Parameter], **options: Any
    ) -> Optimizer | partial[Adam]:
        """Return a ``partial`` of an Adam with default options; create any other at once."""
        ours = {**self.adam_defaults, "fused": True, "lr": options["lr"]}
        if kind is Adam and options == ours and options["lr"] >= 0:
            return partial(Adam, list(parameters), **options)
        return kind(parameters, **options)
