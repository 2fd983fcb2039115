"""Measure how long networks hear of an observation: ``python -m studies.gains.memory``.

Prints the table of docs/learning-efficiency.md (seconds). Networks are those of stateful agents
before training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import typer
from torch import Tensor

import snn_gym
from snn_gym.policies.networks import network_inputs
from studies.tables import table

TASK = "snn/DelayedMatchToSample-v0"
AGENTS = "recurrent-ppo-lsnn", "recurrent-ppo-gru"
SEEDS = range(5)
LAGS = 0, 1, 2, 4, 8, 16
SAMPLES = 64

Network = Callable[[Tensor], Tensor]
"""Maps inputs (L, B, ...) of successive decisions to the outputs (B, F) of the last."""


def gradient_gains(network: Network, inputs: Tensor) -> list[float]:
    """Return norms of the gradient of the summed last outputs with respect to earlier inputs.

    The first is that of the last input, over which all are divided; then it goes back in time.
    """
    inputs = inputs.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(inputs).sum(), inputs)
    norms = gradient.flatten(2).norm(dim=2).mean(1).flip(0)
    return [float(x) for x in norms / norms[0]]


@torch.no_grad()
def influences(network: Network, inputs: Tensor) -> list[float]:
    """Return how far the last outputs move if one input becomes that of another sample.

    In units of the distance between the outputs of different samples, for the last input first.
    """
    outputs, other = network(inputs), inputs.roll(1, dims=1)
    apart = (outputs - outputs.roll(1, dims=0)).norm(dim=1).mean()
    moved = []
    for step in reversed(range(len(inputs))):
        changed = inputs.clone()
        changed[step] = other[step]
        moved.append(float((network(changed) - outputs).norm(dim=1).mean() / apart))
    return moved


def _measure(agent: str, seed: int) -> tuple[list[float], list[float]]:
    torch.set_num_threads(1)
    policy: Any = snn_gym.make_agent(agent, TASK, seed=seed).policy
    actor, spike_steps = policy.mlp_extractor.actor, policy.mlp_extractor.spike_steps
    env = snn_gym.make_vec_env(TASK, n_envs=SAMPLES, seed=seed)
    env.action_space.seed(seed)
    seen: list[Any] = [np.array(env.reset())]
    for _ in range(LAGS[-1]):
        actions = np.array([env.action_space.sample() for _ in range(SAMPLES)])
        seen.append(np.array(env.step(actions)[0]))
    shown = [torch.from_numpy(x).float() for x in seen]
    inputs = torch.stack([network_inputs(x.flatten(1), actor, spike_steps) for x in shown])
    network = partial(_last_outputs, actor)
    return gradient_gains(network, inputs), influences(network, inputs)


def _last_outputs(actor: Any, inputs: Tensor) -> Tensor:
    starts = torch.zeros(inputs.shape[:2], dtype=torch.bool)
    outputs: Tensor = actor.sequence(inputs, None, starts)[0][-1]
    return outputs


def _cells(found: Sequence[Sequence[float]]) -> list[str]:
    medians = np.median(np.array(found), axis=0)
    return [f"{medians[lag]:.2g}" for lag in LAGS]


def main() -> None:
    """Print the medians over seeds, by agent and measure."""
    rows = []
    for agent in AGENTS:
        gains, moved = zip(*(_measure(agent, seed) for seed in SEEDS), strict=True)
        rows.append((f"`{agent}`", "gradient", *_cells(gains)))
        rows.append((f"`{agent}`", "influence", *_cells(moved)))
    typer.echo(table(("Agent", "Decisions before", *map(str, LAGS)), rows))


if __name__ == "__main__":
    typer.run(main)
