"""Tests of episodes alone and in a batch: their differences follow RULES.md."""

from __future__ import annotations

from typing import NamedTuple

import gymnasium as gym
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from snn_gym._base.numerics import one_thread
from snn_gym._base.storage import parse_tensors
from snn_gym.leaderboard.pretrained import find_trained
from snn_gym.leaderboard.results import verified_weights
from snn_gym.zoo import build_policy
from tests.leaderboard.helpers import BOARD

ENVIRONMENT, EPISODES, STEPS = "Pendulum-v1", 5, 100
# Rounding of an action of up to 2: some last places of float32.
ROUNDING = 1e-6
# How near to its threshold a potential was that fell on its other side, in units of the threshold.
NEAR = 0.01


class Played(NamedTuple):
    """Episodes side by side."""

    observations: NDArray[np.float32]
    """(steps, episodes, 3)."""
    actions: NDArray[np.float32]
    """(steps, episodes, 1)."""


def play(policy, seeds):
    envs = [gym.make(ENVIRONMENT) for _ in seeds]
    seen = np.stack([env.reset(seed=seed)[0] for env, seed in zip(envs, seeds, strict=True)])
    observations, actions = [], []
    for _ in range(STEPS):
        chosen, _ = policy.predict(seen, deterministic=True)
        observations.append(seen)
        actions.append(chosen)
        seen = np.stack([env.step(x)[0] for env, x in zip(envs, chosen, strict=True)])
    return Played(np.stack(observations), np.stack(actions))


@pytest.fixture(scope="module")
def policy():
    weights = verified_weights(BOARD, find_trained("sac-lif", ENVIRONMENT).row(0))
    made = build_policy("sac-lif", ENVIRONMENT)
    made.load_acting_state_dict(parse_tensors(weights, where="row")[0])
    return made


def test_actions_do_not_depend_on_the_batch_size(policy):
    with one_thread():
        seen = play(policy, list(range(EPISODES))).observations.reshape(-1, 3)
        alone = np.stack([policy.predict(x, deterministic=True)[0] for x in seen])
        for batch in (5, 100, len(seen)):
            together = np.concatenate([
                policy.predict(seen[k : k + batch], deterministic=True)[0]
                for k in range(0, len(seen), batch)
            ])  # fmt: skip
            assert np.abs(together - alone).max() <= ROUNDING


def flipped(policy, one, other):
    for first, second in zip(policy.record(one).layers, policy.record(other).layers, strict=True):
        differ = (first.spikes != second.spikes).nonzero()
        if len(differ):
            place = tuple(differ[0].tolist())
            assert isinstance(first.v_threshold, float)
            potentials = (float(x.voltages[place]) for x in (first, second))
            return (*potentials, first.v_threshold)
    raise AssertionError("no spike differs")


def test_episodes_diverge_only_at_potentials_near_threshold(policy):
    seeds, parted = list(range(EPISODES)), 0
    with one_thread():
        together = play(policy, seeds)
        for k, seed in enumerate(seeds):
            alone = play(policy, [seed])
            apart = np.abs(alone.actions[:, 0] - together.actions[:, k]).max(1) > ROUNDING
            if not apart.any():
                continue
            parted += 1
            step = int(apart.argmax())
            seen, other = alone.observations[step, 0], together.observations[step, k]
            # Rounding alone never parts them: the pendulum has made more of it.
            assert np.abs(seen - other).max() > ROUNDING
            with torch.no_grad():
                v, w, threshold = flipped(policy, seen, other)
            assert min(v, w) <= threshold < max(v, w)
            assert max(v, w) - min(v, w) < NEAR * threshold
    if not parted:
        pytest.skip("this machine's products round alike at every batch size")
