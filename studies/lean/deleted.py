"""Neurons that are deleted in mid-training, for good."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor
from torch.optim import Optimizer

from snn_gym.spiking.spiking_layer import SpikingLayer

_SILENT = -1.0  # a bias below the threshold, and no synapse to raise it


class Deletion(BaseCallback):
    """Deletes a share of each layer's neurons before the first rollout that begins late enough."""

    def __init__(self, layers: Sequence[SpikingLayer], share: float, after: int, seed: int) -> None:
        super().__init__()
        self._layers, self._share, self._after = layers, share, after
        self._generator = torch.Generator().manual_seed(seed)
        self._done = False

    def _on_rollout_start(self) -> None:
        if not self._done and self.num_timesteps >= self._after:
            delete(self._layers, self._share, self._generator, self.model.policy.optimizer)
            self._done = True

    def _on_step(self) -> bool:
        return True


def delete(
    layers: Sequence[SpikingLayer], share: float, generator: torch.Generator, optimiser: Optimizer
) -> None:
    """Silence neurons in place, such that no gradient wakes them."""
    for layer in layers:
        rows = torch.randperm(layer.size, generator=generator)[: round(share * layer.size)]
        synapses = [layer.linear] if layer.recurrent is None else [layer.linear, layer.recurrent]
        for linear in synapses:
            _freeze(linear.weight, rows, 0.0, optimiser)
        _freeze(layer.linear.bias, rows, _SILENT, optimiser)


def _freeze(parameter: Tensor, rows: Tensor, value: float, optimiser: Optimizer) -> None:
    with torch.no_grad():
        parameter[rows] = value
    parameter.register_hook(lambda gradient: gradient.index_fill(0, rows, 0.0))  # type: ignore[no-untyped-call]
    moments = optimiser.state.get(parameter, {})
    if "exp_avg" in moments:
        moments["exp_avg"][rows] = 0.0
