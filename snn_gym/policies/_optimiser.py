"""Which Adam a policy has, and one that is made when it is first asked for: acting needs none.

The first optimiser of a process imports PyTorch's compiler, which takes twice as long as everything
else between loading an agent and its first decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, cast

from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import nn
from torch.optim import Adam, Optimizer

from snn_gym._lazy import collector_paused

_IMPLEMENTATIONS = {"fused", "foreach", "capturable", "differentiable"}
"""Options of PyTorch's Adam of which one asks for an implementation."""


def choose_adam(arguments: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    """Let an Adam whose implementation nobody chose be fused, which is the fastest by far.

    Args:
        arguments: Keyword arguments for Stable-Baselines3's policy; changed in place.
        defaults: Options where nobody gives any, as that policy has them.
    """
    if arguments.get("optimizer_class", Adam) is not Adam:
        return
    options = arguments.get("optimizer_kwargs")
    options = defaults if options is None else options
    if options.keys().isdisjoint(_IMPLEMENTATIONS):
        options = {**options, "fused": True}
    arguments["optimizer_kwargs"] = options


@dataclass(frozen=True, eq=False)
class _Pending:
    """What makes the optimiser."""

    parameters: list[nn.Parameter]
    options: Mapping[str, Any]

    def make(self) -> Optimizer:
        with collector_paused():  # the compiler is imported here
            return Adam(self.parameters, **self.options)


class LateOptimiser(BasePolicy):
    """Stable-Baselines3's policy with one optimiser, in front of whose class this one comes."""

    adam_defaults: ClassVar[Mapping[str, Any]]
    _optimizer: Optimizer | _Pending | None

    @property
    def optimizer(self) -> Any:
        """The optimiser."""
        if isinstance(self._optimizer, _Pending):
            self._optimizer = self._optimizer.make()
        return self._optimizer

    @optimizer.setter
    def optimizer(self, optimiser: Any) -> None:
        self._optimizer = optimiser

    def _build(self, lr_schedule: Schedule) -> None:
        chosen = self.optimizer_class
        self.optimizer_class = cast(type[Optimizer], partial(self._optimiser, chosen))
        super()._build(lr_schedule)  # type: ignore[misc]
        self.optimizer_class = chosen

    def _optimiser(
        self, kind: type[Optimizer], parameters: Iterable[nn.Parameter], **options: Any
    ) -> Optimizer | _Pending:
        """Put off an Adam that can't fail; any other is made at once, so that errors come here."""
        ours = {**self.adam_defaults, "fused": True, "lr": options["lr"]}
        if kind is Adam and options == ours and options["lr"] >= 0:
            return _Pending(list(parameters), options)
        return kind(parameters, **options)
