"""Which random streams the environments of a run get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from snn_gym.config import Range

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

Seeding = Literal["disjoint", "consecutive"]
"""``disjoint``: environment k of a run with seed s has a stream that is drawn from (s, k), so that
runs of different seeds share none; ``consecutive``: it is seeded with s + k, as
Stable-Baselines3 does, so that runs 0 and 1 of 64 environments share 63 streams."""

TRAINING_SEED_LIMIT = 1_000_000_000
"""Exclusive upper bound of training seeds, so that seeds counted up from them (one for each
parallel environment) never reach a public evaluation seed."""

TrainingSeed = Annotated[int, Range(at_least=0, below=TRAINING_SEED_LIMIT)]
"""Seed of a run that may be scored."""

# Below lie training seeds, those that count up from them, and those of evaluations.
_FIRST_SEED = 1 << 31


def environment_seeds(seed: int, n_envs: int, seeding: Seeding) -> list[int]:
    """Return the seeds that a run's environments are reset with at first.

    Args:
        seed: Seed of the run.
        n_envs: Number of environments.
        seeding: How their streams follow from it.

    Returns:
        A seed of 32 bits at most for each environment, which old random generators take too.
    """
    if seeding == "consecutive":
        return [seed + index for index in range(n_envs)]
    return [_words(seed, index)[0] for index in range(n_envs)]


def seed_environments(env: VecEnv, seed: int | None, seeding: Seeding) -> None:
    """Set the seeds of the next reset, and of action spaces.

    Args:
        env: Environments that Stable-Baselines3 has seeded, which is ``consecutive``.
        seed: Seed of the run; None leaves them as they are.
        seeding: How their streams follow from it.
    """
    if seed is None or seeding == "consecutive":
        return
    base: Any = env.unwrapped
    # What VecEnv.seed sets, which can only count up.
    base._seeds = environment_seeds(seed, env.num_envs, seeding)
    # A batch has no single environments: its action space is that of the first one.
    base.action_space.seed(_words(seed, 0)[1])
    for index, single in enumerate(getattr(base, "envs", ())):
        single.action_space.seed(_words(seed, index)[1])


def _words(seed: int, index: int) -> tuple[int, int]:
    """Return seeds of an environment and of its action space."""
    drawn = np.random.SeedSequence(seed, spawn_key=(index,)).generate_state(2)
    environment, actions = (_FIRST_SEED + int(word) // 2 for word in drawn)
    return environment, actions
