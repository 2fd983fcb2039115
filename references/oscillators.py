"""Open-loop oscillators: the returns of MuJoCo's locomotion tasks without feedback.

    python -m references.oscillators Swimmer-v5

Torques are sines of one frequency, after Raffin et al. 2023, "An Open-Loop Baseline for
Reinforcement Learning Locomotion Tasks", https://arxiv.org/abs/2310.05808, who oscillate desired
positions instead. Parameters come from random search and hill climbing, in about 300 episodes on
Swimmer-v5 and 800 on HalfCheetah-v5, with seeds 0 and 101 to 105; returns are measured on seeds 1
to 100.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snn_gym.envs.registry import load_environment_spec, make_task

FIRST_SEED = 1
EPISODES = 100


@dataclass(frozen=True)
class Oscillator:
    """Actions that are sines of time: offset + amplitude * sin(2 pi * frequency * time + phase)."""

    frequency_hz: float
    amplitudes: tuple[float, ...]
    phases: tuple[float, ...]  # In radians
    offsets: tuple[float, ...]

    def act(self, time_s: float) -> NDArray[np.float32]:
        """Return the actions (A,), float32, in [-1, 1], at a time since the episode's start (s)."""
        angles = 2.0 * np.pi * self.frequency_hz * time_s + np.array(self.phases)
        actions = np.array(self.offsets) + np.array(self.amplitudes) * np.sin(angles)
        clipped: NDArray[np.float32] = actions.clip(-1.0, 1.0).astype(np.float32)
        return clipped


OSCILLATORS = {
    "Swimmer-v5": Oscillator(0.48, (2.33, 2.33), (1.4, 0.99), (0.0, 0.0)),
    "HalfCheetah-v5": Oscillator(
        4.68,
        (1.41, 1.09, 1.79, 1.55, 0.86, 1.29),
        (3.86, 6.03, 3.69, 5.87, 6.19, 5.15),
        (0.31, 0.27, -0.27, -0.92, -0.4, 0.71),
    ),
}
"""The oscillators by gymnasium's ids."""


def play(env_id: str, episodes: int) -> list[float]:
    """Return the undiscounted returns of a task's oscillator, one for each seed 1, 2, 3, …."""
    env, oscillator = make_task(env_id), OSCILLATORS[env_id]
    step_s = float(env.get_wrapper_attr("dt"))
    returns = []
    for seed in range(FIRST_SEED, FIRST_SEED + episodes):
        env.reset(seed=seed)
        rewards = [
            float(env.step(oscillator.act(step * step_s))[1])
            for step in range(load_environment_spec(env_id).max_episode_steps)
        ]
        returns.append(sum(rewards))
    env.close()
    return returns


def main(env_ids: list[str]) -> None:
    """Print mean and standard error of the returns of each task's oscillator in 100 episodes."""
    for env_id in env_ids:
        returns = np.array(play(env_id, EPISODES))
        error = returns.std(ddof=1) / np.sqrt(EPISODES)
        sys.stdout.write(f"{env_id} {returns.mean():.2f} {error:.2f}\n")


if __name__ == "__main__":
    main(sys.argv[1:] or list(OSCILLATORS))
