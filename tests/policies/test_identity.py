"""Tests of algorithm × action space × observation space: learning, determinism, saving."""

import re

import numpy as np
import pytest
import torch

from snn_gym.spiking.bookkeeping import full_state
from tests.marked import slow
from tests.pairs import pairs
from tests.policies.identity import (
    ACTIONS,
    CASES,
    FOR_IMAGES,
    VIEWS,
    Identity,
    make,
    observations,
    score,
)

# Under every algorithm's settings there are updates before this step and after it.
COMPARED_AT = 96
LEARNED = 0.9  # of 1; chance is 0.25 with Discrete actions, else 0.5
UNSUPPORTED = [
    (name, action)
    for name, case in CASES.items()
    for action in ACTIONS
    if action not in case.actions
]
# Each algorithm, each action space and each view but images, the slowest, in one of these.
BY_DEFAULT = [
    ("PPO", "Box", "MultiDiscrete"), ("PPO", "MultiDiscrete", "Dict"),
    ("PPO", "MultiBinary", "flags"), ("PPO", "Discrete", "spikes"), ("A2C", "Discrete", "analogue"),
    ("TRPO", "Discrete", "Discrete"),
    *((name, CASES[name].actions[0], "analogue") for name in list(CASES)[3:]),
]  # fmt: skip
# Every pair of an algorithm, an action space and an observation space; the others are slow.
CELLS = dict.fromkeys(
    [
        *BY_DEFAULT,
        *pairs(
            list(CASES), list(ACTIONS), list(VIEWS),
            possible=lambda name, action, _: action in CASES[name].actions,
        ),
    ]
)  # fmt: skip


def test_every_algorithm_and_space_is_in_the_default_run():
    names, actions, views = (set(x) for x in zip(*BY_DEFAULT, strict=True))
    assert (names, actions) == (set(CASES), set(ACTIONS))
    assert views == set(VIEWS) - {"image"}


def train(cell, steps, times=1):
    """Train for ``times`` the case's steps, or stop early; return the weights at COMPARED_AT."""
    name, action, view = cell
    arguments = {}
    if view == "image":
        small = {"features_extractor_kwargs": {"features_dim": 32}}
        arguments = {"policy_kwargs": small, **FOR_IMAGES.get(name, {})}
    model = make(name, Identity(view, action), **arguments)
    weights = {}

    def watch(*_):
        if model.num_timesteps == COMPARED_AT:
            weights.update({k: v.clone() for k, v in full_state(model.policy).items()})
        return steps is None or model.num_timesteps < steps

    model.learn(int(times * CASES[name].steps), callback=watch)
    return model, weights


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def assert_saves_and_loads(model, view, folder):
    model.save(folder / "model")
    model.policy.save(str(folder / "policy"))
    loaded = type(model).load(folder / "model", device="cpu")
    policy = type(model.policy).load(str(folder / "policy"), device="cpu")
    seen = observations(view, 16)
    expected, _ = model.predict(seen, deterministic=True)
    for other in (loaded.policy, policy):
        assert_same(full_state(other), full_state(model.policy))
        assert np.array_equal(other.predict(seen, deterministic=True)[0], expected)


@pytest.mark.check
@pytest.mark.parametrize(
    "cell", [cell if cell in BY_DEFAULT else slow(cell) for cell in CELLS], ids="-".join
)
def test_combination_learns_saves_and_loads(cell, tmp_path):
    _, action, view = cell
    times = 0.45 if cell in BY_DEFAULT else 2
    model, weights = train(cell, None, times)
    _, again = train(cell, COMPARED_AT, times)
    assert weights
    assert_same(weights, again)
    assert_saves_and_loads(model, view, tmp_path)
    assert score(model, view, action) > LEARNED


@pytest.mark.parametrize(("name", "action"), UNSUPPORTED)
def test_other_actions_are_refused_in_one_line(name, action):
    given = ACTIONS[action]
    # Stable-Baselines3 checks the space before it makes a policy, and says what it takes.
    with pytest.raises(AssertionError, match=r"The algorithm only supports") as caught:
        make(name, Identity(action=action))
    message = str(caught.value)
    assert f"but {given} was provided" in message
    assert "\n" not in message
    # A policy made without an algorithm says it itself.
    supported = ", ".join(CASES[name].actions)
    expected = re.escape(f"{CASES[name].policy.__name__} chooses {supported} actions, got {given}")
    with pytest.raises(ValueError, match=expected):
        CASES[name].policy(VIEWS["analogue"].space, given, lambda _: 1e-3)
