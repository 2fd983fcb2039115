"""Open-loop oscillators: the returns of MuJoCo's locomotion tasks without feedback.

    python -m references.oscillators                    # the stored ones
    python -m references.oscillators search Hopper-v5   # a new one

Torques are sines of one frequency, after Raffin et al. 2023, "An Open-Loop Baseline for
Reinforcement Learning Locomotion Tasks", https://arxiv.org/abs/2310.05808, who oscillate desired
positions instead. Parameters of Hopper and Walker2d come from `search`: three starts of CMA-ES with
100 generations, on seeds 101 to 120; on Ant it found less (-32) than standing still. Those of
Swimmer (300 episodes) and HalfCheetah (800) come from random search and hill climbing, on seeds 0
and 101 to 105. Returns are measured on seeds 1 to 100.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cmaes import CMA
from numpy.typing import NDArray

from snn_gym.envs.registry import make_task

SEEDS = range(1, 101)
"""Environment seeds of the measured returns."""
_STARTS, _GENERATIONS = 3, 100
_TRIED, _CHOSEN = range(101, 103), range(101, 121)


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


_STILL = (0.0,) * 8
OSCILLATORS = {
    "Swimmer-v5": Oscillator(0.48, (2.33, 2.33), (1.4, 0.99), (0.0, 0.0)),
    "HalfCheetah-v5": Oscillator(
        4.68,
        (1.41, 1.09, 1.79, 1.55, 0.86, 1.29),
        (3.86, 6.03, 3.69, 5.87, 6.19, 5.15),
        (0.31, 0.27, -0.27, -0.92, -0.4, 0.71),
    ),
    "Hopper-v5": Oscillator(21.3, (0.24, 2.84, -2.29), (-3.82, 5.37, 2.26), (0.77, 0.08, 0.31)),
    "Walker2d-v5": Oscillator(
        1.94,
        (-0.63, -0.54, -0.4, 0.54, -1.26, -1.18),
        (-2.38, -3.75, -1.29, -1.55, -4.67, 1.62),
        (1.38, 1.48, 1.12, -0.09, 1.59, 0.74),
    ),
    # Standing still: the search found nothing as good.
    "Ant-v5": Oscillator(1.0, _STILL, _STILL, _STILL),
}
"""The oscillators by gymnasium's ids."""


def play(env_id: str, oscillator: Oscillator, seeds: Sequence[int]) -> list[float]:
    """Return the undiscounted returns of an oscillator, one for each seed of the environment."""
    env = make_task(env_id)
    step_s = float(env.get_wrapper_attr("dt"))
    returns = []
    for seed in seeds:
        env.reset(seed=seed)
        total, step, ended = 0.0, 0, False
        while not ended:
            _, reward, terminated, truncated, _ = env.step(oscillator.act(step * step_s))
            total, step, ended = total + float(reward), step + 1, terminated or truncated
        returns.append(total)
    env.close()
    return returns


def search(env_id: str, seed: int = 0) -> Oscillator:
    """Return the best of the oscillators that some starts of CMA-ES find for a task."""
    env = make_task(env_id)
    joints = int(np.prod(env.action_space.shape or ()))
    env.close()
    rng = np.random.default_rng(seed)
    found = [_climb(env_id, joints, rng) for _ in range(_STARTS)]
    return max(found, key=lambda x: float(np.mean(play(env_id, x, _CHOSEN))))


def _climb(env_id: str, joints: int, rng: np.random.Generator) -> Oscillator:
    """Return the last mean of CMA-ES from a random start."""
    start = rng.normal(0.0, 0.5, 1 + 3 * joints)
    cma = CMA(start, 0.5, seed=int(rng.integers(2**31)))
    for _ in range(_GENERATIONS):
        tried = [cma.ask() for _ in range(cma.population_size)]
        cma.tell([(x, -float(np.mean(play(env_id, decoded(x), _TRIED)))) for x in tried])
    return decoded(cma.mean)


def decoded(point: NDArray[np.float64]) -> Oscillator:
    """Return the oscillator of a point (1 + 3 A,), rounded as it is stored."""
    frequency_hz = round(2.0 * float(np.exp(point[0])), 2)
    amplitudes, phases, offsets = np.split(point[1:], 3)
    parts = (tuple(x.round(2).tolist()) for x in (amplitudes, 2.0 * phases, offsets))
    return Oscillator(frequency_hz, *parts)


def main(words: list[str]) -> None:
    """Print mean and standard error of the returns of stored oscillators, or of new ones."""
    new = words[:1] == ["search"]
    for env_id in words[1:] if new else words or list(OSCILLATORS):
        oscillator = search(env_id) if new else OSCILLATORS[env_id]
        returns = np.array(play(env_id, oscillator, SEEDS))
        error = returns.std(ddof=1) / np.sqrt(len(returns))
        sys.stdout.write(f"{env_id} {returns.mean():.2f} {error:.2f} {oscillator if new else ''}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
