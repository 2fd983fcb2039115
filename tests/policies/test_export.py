"""Tests of exported policies: they act like ``predict``, or are refused in one line."""

import numpy as np
import pytest
import torch
from stable_baselines3.common.utils import ConstantSchedule
from torch import nn

from snn_gym.policies import StatefulActorCriticPolicy
from snn_gym.spiking import NetworkConfig
from tests.policies.identity import VIEWS, Identity, make, observations
from tests.policies.test_policies import tell_apart

COUNT = 1000
ignored = pytest.mark.filterwarnings("ignore")


class Acts(nn.Module):
    """Exported module by Stable-Baselines3's documentation: the best action."""

    def __init__(self, policy):
        super().__init__()
        self.policy = policy

    def forward(self, observation):
        return self.policy._predict(observation, deterministic=True)


def traced(module, seen):
    return torch.jit.trace(module, seen[:2])


def exported(module, seen):
    batch = {0: torch.export.Dim("batch", min=2, max=COUNT)}
    return torch.export.export(module, (seen[:5],), dynamic_shapes=(batch,)).module()


WAYS = {"torch.jit.trace": traced, "torch.export": exported}
NETWORKS = {
    "lif": {"neuron": "lif", "learnable": ("tau_mem", "v_threshold")},
    "recurrent alif": {"neuron": "alif", "recurrent": True, "decoder": "last_voltage"},
}


@pytest.fixture(autouse=True)
def unchecked_distributions():
    """Switch off PyTorch's checks of distributions, which cannot be exported."""
    kept = torch.distributions.Distribution._validate_args
    torch.distributions.Distribution.set_default_validate_args(False)
    yield
    torch.distributions.Distribution.set_default_validate_args(kept)


def actions_of(policy, exported, seen):
    with torch.no_grad():
        actions = exported(seen).numpy()
    if policy.squash_output:
        return policy.unscale_action(actions)
    return np.clip(actions, -1, 1) if actions.dtype == np.float32 else actions


def assert_acts_alike(model, way):
    tell_apart(model)
    policy = model.policy
    policy.set_training_mode(False)
    raw = observations("analogue", COUNT)
    seen = torch.as_tensor(raw, dtype=torch.float32)
    with torch.no_grad():
        expected, _ = model.predict(raw, deterministic=True)
        exported = WAYS[way](Acts(policy), seen)
    assert len(np.unique(expected, axis=0)) > 1
    actions = actions_of(policy, exported, seen)
    np.testing.assert_allclose(actions.reshape(COUNT, -1), expected.reshape(COUNT, -1), atol=1e-5)


@ignored
@pytest.mark.parametrize(("way", "network"), [*zip(WAYS, NETWORKS, strict=True)])
def test_exported_policies_equal_predict(way, network):
    config = NetworkConfig((16,), 4, **NETWORKS[network])
    assert_acts_alike(make("PPO", policy_kwargs={"network": config}), way)


@ignored
@pytest.mark.parametrize(
    ("way", "encoder"), [("torch.jit.trace", "latency"), ("torch.export", "rate")]
)
def test_spikes_made_outside_of_pytorch_are_refused(way, encoder):
    model = make("PPO", policy_kwargs={"network": NetworkConfig((4,), 4, encoder=encoder)})
    seen = torch.as_tensor(observations("analogue", 4))
    message = f"encoder '{encoder}' is computed outside of PyTorch"
    with torch.no_grad(), pytest.raises(Exception) as caught:  # noqa: PT011
        WAYS[way](Acts(model.policy), seen)(seen)
    reasons = [caught.value]
    while cause := reasons[-1].__cause__:
        reasons.append(cause)
    assert any(message in str(x) for x in reasons)
    if way == "torch.jit.trace":
        assert type(caught.value) is ValueError
        assert "\n" not in str(caught.value)


@ignored
def test_a_state_is_carried_through_a_traced_network():
    torch.manual_seed(0)
    policy = StatefulActorCriticPolicy(
        VIEWS["analogue"].space, Identity().action_space, ConstantSchedule(0.1),
        network=NetworkConfig((8, 6), 4, neuron="alif"),
    )  # fmt: skip
    network = policy.mlp_extractor.actor
    seen, state = torch.randn(20, 7, 3) * 3, network.rest_state(7)
    with torch.no_grad():
        step = torch.jit.trace(network, (seen[0], state))
        own, carried = state, state
        outputs = []
        for x in seen:
            expected, own = network(x, own)
            output, carried = step(x, carried)
            torch.testing.assert_close(output, expected)  # sums in another order
            torch.testing.assert_close(carried, own)
            outputs.append(output)
    assert torch.stack(outputs).std() > 0
