"""Actions without PyTorch against the long way, of every kind of policy, space and decoder."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.utils import ConstantSchedule

from snn_gym.policies import (
    SpikingActorCriticPolicy,
    SpikingDQNPolicy,
    SpikingQRDQNPolicy,
    _common,
)
from snn_gym.spiking import NetworkConfig
from tests.policies.firing import made_to_fire

BOX = spaces.Box(-2.0, 2.0, (2, 2), np.float32)
SEEN = {
    "analogue": spaces.Box(-4.0, 4.0, (3,), np.float32),
    "of two axes": spaces.Box(-4.0, 4.0, (2, 3), np.float64),
    "flags": spaces.MultiBinary(6),
    "spikes": spaces.MultiBinary((5, 6)),
    "classes": spaces.Discrete(4),
}
CHOSEN = {"discrete": spaces.Discrete(3), "continuous": BOX, "flags": spaces.MultiBinary(3)}
SHORT = {"analogue", "of two axes", "flags", "spikes"}


def build(kind: type[Any], seen: str, chosen: str = "discrete", **network: Any) -> Any:
    torch.manual_seed(0)
    config = NetworkConfig((12, 8), 5, **network)
    policy: Any = kind(SEEN[seen], CHOSEN[chosen], ConstantSchedule(0.1), network=config)
    return made_to_fire(policy)


def observe(seen: str, batch: int) -> np.ndarray[Any, Any]:
    SEEN[seen].seed(0)
    return np.stack([SEEN[seen].sample() for _ in range(batch)])


def both_ways(policy: Any, observation: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Actions as they are, and by Stable-Baselines3."""
    short = policy.predict(observation, deterministic=True)[0]
    with monkeypatch.context() as patch:
        patch.setattr(_common, "best_actions", lambda *_: None)
        return short, policy.predict(observation, deterministic=True)[0]


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize(
    ("kind", "chosen", "network"),
    [
        (SpikingActorCriticPolicy, "discrete", {}),
        (SpikingActorCriticPolicy, "continuous", {}),
        (SpikingActorCriticPolicy, "flags", {}),
        (SpikingActorCriticPolicy, "discrete", {"decoder": "last_voltage", "neuron": "alif"}),
        (SpikingActorCriticPolicy, "discrete", {"decoder": "max_voltage"}),
        (SpikingActorCriticPolicy, "continuous", {"decoder": "population"}),
        (SpikingActorCriticPolicy, "discrete", {"backend": "norse"}),
        (SpikingActorCriticPolicy, "discrete", {"recurrent": True}),
        (SpikingDQNPolicy, "discrete", {}),
        (SpikingQRDQNPolicy, "discrete", {}),
    ],
)
def test_the_short_way_chooses_what_the_long_way_does(
    kind: type[Any],
    chosen: str,
    network: dict[str, Any],
    seen: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = build(kind, seen, chosen, **network)
    taken = []
    real = _common.best_actions
    monkeypatch.setattr(
        _common, "best_actions", lambda *x: taken.append(real(*x) is not None) or real(*x)
    )
    actions = []
    for observation in (observe(seen, 40), observe(seen, 1), observe(seen, 1)[0]):
        short, long = both_ways(policy, observation, monkeypatch)
        assert (np.shape(short), short.dtype) == (np.shape(long), long.dtype)
        np.testing.assert_allclose(short, long, rtol=1e-5, atol=1e-5)
        actions.append(long)
    assert len(np.unique(actions[0])) > 1 or seen != "analogue"
    plain = network.get("decoder") in (None, "last_voltage") and network.get("backend") is None
    short_ways = seen in SHORT and chosen != "flags" and plain and kind is not SpikingQRDQNPolicy
    assert taken == [short_ways] * 3


def test_drawn_actions_and_twins_go_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, observation = build(SpikingActorCriticPolicy, "analogue"), observe("analogue", 30)
    drawn = [policy.predict(observation)[0] for _ in range(2)]
    assert (drawn[0] != drawn[1]).any()
    twin = SpikingActorCriticPolicy(
        SEEN["analogue"], CHOSEN["discrete"], ConstantSchedule(0.1), spiking_actor=False
    )
    twin.set_training_mode(False)
    short, long = both_ways(twin, observation, monkeypatch)
    assert np.array_equal(short, long)


def test_a_policy_in_training_is_switched_to_acting() -> None:
    policy = build(SpikingActorCriticPolicy, "analogue")
    policy.set_training_mode(True)
    policy.predict(observe("analogue", 1), deterministic=True)
    assert not any(module.training for module in policy.modules())


def test_what_sb3_refuses_is_refused() -> None:
    policy = build(SpikingActorCriticPolicy, "analogue")
    with pytest.raises(ValueError, match="Unexpected observation shape"):
        policy.predict(np.zeros((2, 4), np.float32), deterministic=True)
    with pytest.raises(ValueError, match="mixing Gym API with SB3 VecEnv API"):
        policy.predict((np.zeros(3, np.float32), {}), deterministic=True)
