"""Rescue of a network whose neurons do not respond, and release once they do.

A neuron that hardly ever or nearly always spikes says little about what it gets, and a surrogate
gradient teaches little through it. The share of such neurons in the whole network is measured at
every update. A share of more than one half begins a rescue, one of less than a twentieth ends it,
and while it lasts rates out of their range are penalised with ``rescue_strength``. A network that
responds is never touched.
"""

from __future__ import annotations

import torch
from torch import Tensor

from snn_gym.spiking.bookkeeping import BookkeepingModule

SILENT_RATE = 0.01
"""Spikes per time step below which a neuron counts as silent."""
SATURATED_RATE = 0.95
"""Spikes per time step above which a neuron counts as saturated."""
BEGIN, END = 0.5, 0.05
"""Shares of silent and saturated neurons above which a rescue begins and below which it ends."""


def next_strength(share: float, rescuing: bool, full: float) -> float:
    """Return the strength of a rescue after a measurement, 0 for none.

    Args:
        share: Silent and saturated neurons of the network, 0 to 1.
        rescuing: Whether a rescue goes on.
        full: Strength while it goes on.
    """
    return full if share > (END if rescuing else BEGIN) else 0.0


class Rescue(BookkeepingModule):
    """The rescue of one network.

    Args:
        full: Strength while it goes on.
        layers: Spiking layers of the network.
    """

    present: Tensor

    def __init__(self, full: float, layers: int) -> None:
        super().__init__()
        self._full, self._layers = full, layers
        self._unresponsive = self._neurons = 0
        self.register_bookkeeping("present", torch.zeros(1, dtype=torch.float64))

    @property
    def strength(self) -> float:
        """Present strength of the penalty, 0 where nothing is rescued."""
        return self.present.item()

    @torch.no_grad()
    def measure(self, index: int, spikes: Tensor) -> None:
        """Take in what a layer did, the layers one after the other.

        Args:
            index: Place of the layer.
            spikes: (T, B, N), 0 or 1.
        """
        if index == 0:
            self._unresponsive = self._neurons = 0
        rates = spikes.mean((0, 1))
        silent_or_saturated = (rates < SILENT_RATE) | (rates > SATURATED_RATE)
        self._unresponsive += int(silent_or_saturated.sum())
        self._neurons += len(rates)
        if index == self._layers - 1:
            share = self._unresponsive / self._neurons
            self.present.fill_(next_strength(share, self.strength > 0, self._full))
