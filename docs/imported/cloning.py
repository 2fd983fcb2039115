"""Behaviour cloning of a scripted CartPole policy, for networks of any framework.

The student acts, and the teacher labels the visited states (DAgger, Ross et al. 2011,
https://arxiv.org/abs/1011.0686). The student learns all labels so far by cross-entropy.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import nir
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

TIME_STEPS = 8
SCALE = np.array([1.0, 1.0, 0.1, 1.0], np.float32)
"""Typical size of each observed value, by which the host divides."""
ROUNDS, STEPS_PER_ROUND, EPOCHS = 3, 600, 40
ENVIRONMENT_STEPS = ROUNDS * STEPS_PER_ROUND

Decide = Callable[[Tensor], Tensor]
"""Mean outputs (B, 2) over a decision's time steps, for scaled observations (B, 4)."""


def teacher(observation: NDArray[Any]) -> int:
    """Return the action of a policy that balances the pole and stays in the middle."""
    x, velocity, angle, turning = observation
    return int(angle + 0.3 * turning + 0.02 * x + 0.06 * velocity > 0)


def clone(module: nn.Module, decide: Decide, seed: int) -> None:
    """Train a student in place.

    Args:
        module: Module with the student's parameters.
        decide: Decisions of the student.
        seed: Seed of the episodes and of the order of samples.
    """
    env, optimiser = gym.make("CartPole-v1"), torch.optim.Adam(module.parameters(), lr=3e-3)
    observation, _ = env.reset(seed=seed)
    seen, labels = list[NDArray[Any]](), list[int]()
    generator = torch.Generator().manual_seed(seed)
    for k in range(ROUNDS):
        for _ in range(STEPS_PER_ROUND):
            seen.append(observation / SCALE)
            labels.append(teacher(observation))
            with torch.no_grad():
                chosen = decide(torch.from_numpy(seen[-1][np.newaxis])).argmax()
            action = labels[-1] if k == 0 else int(chosen)
            observation, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                observation, _ = env.reset()
        samples, targets = torch.tensor(np.array(seen), dtype=torch.float32), torch.tensor(labels)
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(samples), generator=generator).split(300):
                loss = nn.functional.cross_entropy(10 * decide(samples[batch]), targets[batch])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()


def write(graph: nir.NIRGraph, path: Path) -> None:
    """Write a graph, and the JSON file of its host's tasks."""
    nir.write(path, graph)
    host = {
        "format": "snn_gym.host/1",
        "dt_s": 1e-4,
        "time_steps": TIME_STEPS,
        "observation": {
            "values": 4,
            "form": "held",
            "standardised": {"mean": [0.0] * 4, "std": SCALE.tolist(), "clip": None},
        },
        "state": "reset",
        "output": "mean",
        "action": {"choice": "argmax", "low": [], "high": []},
    }
    path.with_suffix(".json").write_text(json.dumps(host, indent=2) + "\n", encoding="utf-8")
