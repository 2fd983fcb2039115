"""Any feed-forward Norse cell as a layer's neurons, for research."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from snn_gym.spiking.neurons.base import State, Stepped

CellFactory = Callable[[int], nn.Module]
"""Makes a Norse cell, ``cell(input, state) -> (spikes, state)``, for a layer of that size."""


class NorseCell(nn.Module, Stepped):
    """A Norse cell behind the interface of ``Neuron``; its own surrogate gradient applies.

    Args:
        factory: Makes the cell.
        size: Neurons of the layer.

    Raises:
        ValueError: What the factory made is not a feed-forward Norse cell of that size.
    """

    v_threshold = None

    def __init__(self, factory: CellFactory, size: int) -> None:
        super().__init__()
        self.cell: Any = factory(size)
        with torch.no_grad():
            spikes, state = self.cell(torch.zeros(1, size), None)
        if not hasattr(state, "_fields") or "v" not in state._fields or spikes.shape != (1, size):
            raise ValueError(
                f"cell_factory({size}) must make a feed-forward Norse cell whose state is a named "
                f"tuple with a voltage v, got {type(self.cell).__name__}"
            )
        self._state_type: Any = type(state)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the state variables, in the order of Norse's state tuple."""
        fields: tuple[str, ...] = self._state_type._fields
        return fields

    def initial_state(self, batch: int, size: int, like: Tensor) -> State:
        """Return the cell's own state at rest, each variable (batch, size)."""
        state = self.cell.state_fallback(like.new_zeros(batch, size))
        return tuple(x.detach().to(like).expand(batch, size) for x in state)

    def step(self, current: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Advance one time step; as ``Stepped.step``, but the potential is after the reset."""
        z, new = self.cell(current, self._state_type(*state))
        return z, new.v, tuple(new)
