"""Tests of Stable-Baselines3's policy contract, for every algorithm; see also test_ecosystem."""

import copy
import pickle

import cloudpickle
import numpy as np
import pytest
import torch

from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.bookkeeping import full_state
from tests.policies.identity import Identity, make, observations, refused
from tests.policies.test_identity import assert_same

# An encoder that draws its noise, so that its stream has to travel too.
NOISY = NetworkConfig((6,), 3, encoder="rate")
STEPS = 64
algorithms = pytest.mark.parametrize("name", ["TRPO", "QRDQN", "TQC", "StatefulPPO"])


def trained(name, network=NOISY):
    return make(name, policy_kwargs={"network": network}).learn(STEPS)


def assert_alike(policy, other, view="analogue"):
    """Check that two policies are the same, and act the same."""
    assert_same(full_state(policy), full_state(other))
    seen = observations(view, 20)
    actions, others = (x.predict(seen, deterministic=True)[0] for x in (policy, other))
    assert np.array_equal(actions, others)


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


def test_stateful_ppo_refuses_dict_observations():
    with refused("StatefulPPO takes no Dict observations, got .*FlattenObservation"):
        make("StatefulPPO", Identity("Dict"))
