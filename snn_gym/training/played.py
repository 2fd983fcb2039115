"""Decisions that a stateful policy plays to be recorded: what it saw, and in which state."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from snn_gym.policies.base import SpikingPolicy
from snn_gym.training.dynamics_log import Observation, by_key

PLAYED_TOGETHER = 4
"""Environments that are played side by side: few, so that the sequences are long."""
_SEED = 1_500_000_000
"""Seed of the environments: beyond those of training, before those of evaluations."""


def play_decisions(
    policy: SpikingPolicy, env: VecEnv, decisions: int, normaliser: VecNormalize | None = None
) -> tuple[Observation, tuple[NDArray[np.float32]]]:
    """Play deterministically from always the same starts, with the state carried.

    Args:
        policy: Stateful policy; its mode of training is as before afterwards.
        env: Environments, which are seeded and reset.
        decisions: At least as many are played, the same number in each environment.
        normaliser: What the policy's observations go through, if anything.

    Returns:
        Observations (decisions, ...), or a Dict's arrays by key, and the state (decisions, S) that
        each met.
    """
    training = policy.training
    env.seed(_SEED)
    seen, met = [], []
    observations, starts = env.reset(), np.ones(env.num_envs, dtype=np.bool_)
    rest = policy.acting_network().rest_state(env.num_envs).detach().cpu().numpy()
    state = rest
    for _ in range(-(-decisions // env.num_envs)):
        shown = observations if normaliser is None else normaliser.normalize_obs(observations)  # type: ignore[arg-type]
        state = np.where(starts[:, np.newaxis], rest, state)
        # Copies: environments may write into what they returned.
        seen.append({key: np.array(x) for key, x in by_key(shown).items()})
        met.append(state)
        actions, after = policy.predict(shown, (state,), deterministic=True)  # type: ignore[arg-type]
        assert after is not None  # of a stateful policy
        (state,) = after
        observations, _, starts, _ = env.step(actions)
    policy.train(training)
    stacked = {key: np.concatenate([part[key] for part in seen]) for key in seen[0]}
    return stacked.get("", stacked), (np.concatenate(met),)
