"""Tests of all policies: acting tensors, round trips, and the normaliser."""

import copy

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.evaluation import evaluate_policy

import snn_gym  # noqa: F401  registers the ids
from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.bookkeeping import full_state
from tests.policies.identity import CASES, Identity, make, observations

algorithms = pytest.mark.parametrize("name", list(CASES))
STEPS = 64


def tell_apart(model):
    """Make a barely trained policy choose different actions for different observations."""
    if not isinstance(model.action_space, spaces.Discrete):
        return
    policy = model.policy
    network = policy.acting_network()
    head = policy.action_net if network.head is None else network.head
    seen, _ = policy.obs_to_tensor(observations("analogue", 100))
    with torch.no_grad():
        head.weight.normal_(0.0, 10.0, generator=torch.Generator().manual_seed(0))
        outputs = network(policy.network_inputs(seen))[0]
        outputs = head(outputs) if network.head is None else outputs
        head.bias -= outputs.mean(0)


@algorithms
def test_acting_tensors_are_enough_and_all_needed(name):
    model = make(name).learn(STEPS)
    tell_apart(model)
    acting = model.policy.acting_state_dict()
    fresh = make(name, seed=9).policy
    untouched = {k: v.clone() for k, v in full_state(fresh).items() if k not in acting}
    assert untouched  # critics, targets, and the statistics that the normaliser gathers
    fresh.load_acting_state_dict(acting)
    after = full_state(fresh)
    shared = {id(x) for x in (fresh.normaliser.mean, fresh.normaliser.std)}
    for key, value in untouched.items():
        # The other networks see the same normaliser, under other names.
        if id(dict(fresh.named_buffers(remove_duplicate=False)).get(key)) not in shared:
            assert torch.equal(after[key], value), key
    seen = observations("analogue", 100)
    actions, _ = model.predict(seen, deterministic=True)
    assert len(np.unique(actions, axis=0)) > 1
    assert np.array_equal(fresh.predict(seen, deterministic=True)[0], actions)


def test_wrong_acting_tensors_are_named():
    policy = make("PPO").policy
    good = policy.acting_state_dict()
    bias, dynamics = "action_net.bias", "mlp_extractor.actor.neuron_constants"
    for change, message in (
        ({"critic": torch.zeros(1)}, "do not match: critic"),
        ({bias: torch.zeros(3)}, r"tensor action_net.bias: expected shape \(4,\).*got \(3,\)"),
        ({bias: torch.zeros(4, dtype=torch.float64)}, "torch.float64"),
        ({dynamics: good[dynamics] + 1}, "belong to a network of other dynamics"),
    ):
        with pytest.raises(ValueError, match=message):
            policy.load_acting_state_dict({**good, **change})
        assert all(torch.equal(policy.acting_state_dict()[name], good[name]) for name in good)
    del good[bias]
    with pytest.raises(ValueError, match="do not match: action_net"):
        policy.load_acting_state_dict(good)


def normaliser_trace(model, steps):
    """Log the statistics that rollouts and updates use, in order."""
    trace = []
    normaliser = model.policy.normaliser
    original = model.train

    def train(*args, **kwargs):
        trace.append(("update", normaliser.std.clone()))
        original(*args, **kwargs)
        trace.append(("update", normaliser.std.clone()))

    def act(*_):
        trace.append(("act", normaliser.std.clone()))
        return True

    model.train = train
    model.learn(steps, callback=act)
    return trace


@pytest.mark.parametrize(("name", "view", "steps"), [
    ("PPO", "Dict", 200), ("A2C", "analogue", 64), ("DQN", "analogue", 64), ("TQC", "Dict", 64),
])  # fmt: skip
def test_rollouts_and_their_updates_use_the_same_statistics(name, view, steps):
    trace = normaliser_trace(make(name, Identity(view, CASES[name].actions[0])), steps)
    kinds = [kind for kind, _ in trace]
    changes = 0
    for k in range(1, len(trace)):
        changed = not torch.equal(trace[k][1], trace[k - 1][1])
        if changed:  # only between updates and the first step of the next rollout
            assert (kinds[k - 1], kinds[k]) == ("update", "act")
        changes += changed
    assert changes >= 2


@pytest.mark.parametrize("name", ["PPO", "DQN", "SAC"])
def test_acting_and_evaluation_never_change_the_normaliser(name):
    model = make(name).learn(STEPS)
    before = copy.deepcopy(full_state(model.policy.normaliser))
    model.predict(observations("analogue", 50))
    action = CASES[name].actions[0]
    evaluate_policy(model, Identity("analogue", action), n_eval_episodes=2, warn=False)
    model.policy.record(observations("analogue", 3))
    after = full_state(model.policy.normaliser)
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert before["count"].item() > 0


@algorithms
def test_the_defaults_make_a_policy(name):
    case = CASES[name]
    model = case.algorithm(case.policy, Identity(action=case.actions[0]), device="cpu")
    assert model.policy.network == NetworkConfig()
    assert model.policy.record(observations("analogue", 1)).layers[0].spikes.shape == (8, 1, 64)
    without = make(name, policy_kwargs={"normalise_observations": False}).policy
    assert without.normaliser is None
