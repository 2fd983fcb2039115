"""Tests of Stable-Baselines3's policy contract, for every algorithm; see also test_ecosystem."""

import copy
import pickle

import cloudpickle
import numpy as np
import pytest
import torch
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.bookkeeping import full_state
from tests.policies.identity import EVERY, STATEFUL, Identity, make, observations, refused
from tests.policies.test_ecosystem import OFF_POLICY, Reach
from tests.policies.test_identity import assert_same

# An encoder that draws its noise, so that its stream has to travel too.
NOISY = NetworkConfig((6,), 3, encoder="rate")
STEPS = 64
algorithms = pytest.mark.parametrize("name", list(EVERY))


def trained(name, network=NOISY):
    return make(name, policy_kwargs={"network": network}).learn(STEPS)


def assert_alike(policy, other, view="analogue"):
    """Check that two policies are the same, and act the same."""
    assert_same(full_state(policy), full_state(other))
    seen = observations(view, 20)
    actions, others = (x.predict(seen, deterministic=True)[0] for x in (policy, other))
    assert np.array_equal(actions, others)


PARTS = ("actor", "critic", "q_net", "quantile_net")


@algorithms
def test_policy_parts_are_restored_from_files(name, tmp_path):
    policy = trained(name).policy
    parts = [part for part in PARTS if hasattr(policy, part)]
    for part in parts:
        own = getattr(policy, part)
        own.save(str(tmp_path / part))
        loaded = type(own).load(str(tmp_path / part), device="cpu")
        assert_same(full_state(loaded), full_state(own))
        if hasattr(own, "_predict") and name not in STATEFUL:
            assert_alike(own, loaded)
    assert bool(parts) == issubclass(EVERY[name].algorithm, OffPolicyAlgorithm)


@algorithms
def test_weights_can_be_replaced_and_restored(name, tmp_path):
    # As Stable-Baselines3's own tests do.
    model = trained(name)
    before, bookkeeping = copy.deepcopy(model.policy.state_dict()), full_state(model.policy)
    random = {key: torch.rand_like(value) for key, value in before.items()}
    model.policy.load_state_dict(random)
    changed = model.policy.state_dict()
    assert all(not torch.allclose(changed[key], before[key]) for key in before)
    for key in bookkeeping.keys() - before.keys():
        assert torch.equal(full_state(model.policy)[key], bookkeeping[key])
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model", device="cpu")
    assert_alike(model.policy, loaded.policy)
    model.policy.load_state_dict(before)
    assert_same(dict(model.policy.state_dict()), dict(before))


@algorithms
def test_policies_pickle(name):
    policy = trained(name).policy
    for copied in (
        pickle.loads(pickle.dumps(policy)),
        cloudpickle.loads(cloudpickle.dumps(policy)),
    ):
        assert copied.normaliser is not policy.normaliser
        assert_alike(copied, pickle.loads(pickle.dumps(policy)))


@pytest.mark.parametrize("name", ["StatefulPPO", "StatefulDQN"])
def test_stateful_learners_refuse_dict_observations(name):
    with refused(f"{name} takes no Dict observations, got .*FlattenObservation"):
        make(name, Identity("Dict"))


@pytest.mark.parametrize("name", [name for name in EVERY if name not in OFF_POLICY])
def test_hindsight_is_refused_without_its_replay_buffer(name):
    with refused("replay_buffer_class", TypeError, ValueError):
        make(
            name, Reach("Discrete" in EVERY[name].actions), replay_buffer_class=HerReplayBuffer
        )  # fmt: skip
