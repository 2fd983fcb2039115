"""Tests of the behaviour of a policy against its actions, and of divergences by hand."""

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.utils import ConstantSchedule

from snn_gym.policies import SpikingControllerPolicy
from snn_gym.policies.behaviour import divergence, scaled_actions
from snn_gym.policies.stateful import SequenceBatch
from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.execution import spikes_of
from tests.policies.identity import ACTIONS, CASES, Identity, make, observations
from tests.spiking.strategies import normal

STATELESS = [
    *(("PPO", action) for action in ACTIONS),
    ("DQN", "Discrete"), ("QRDQN", "Discrete"), ("SAC", "Box"), ("TD3", "Box"),
]  # fmt: skip
WITH_STATE = [("StatefulPPO", "Box"), ("StatefulPPO", "MultiBinary"), ("StatefulPPO", "Discrete")]
LOPSIDED = spaces.Box(np.float32([-2.0, 0.0]), np.float32([2.0, 5.0]))
TWO = NetworkConfig(hidden_sizes=(12, 8), time_steps=4)


def test_discrete_actions_by_hand():
    # Probabilities 3/4, 1/4 against 1/2, 1/2, and the same against itself.
    reference = torch.tensor([[math.log(3.0), 0.0], [math.log(3.0), 0.0]])
    behaviour = torch.tensor([[7.0, 7.0], [math.log(3.0), 0.0]])
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    found = divergence(spaces.Discrete(2), reference, behaviour)
    assert found.tolist() == pytest.approx([expected, 0.0], rel=1e-5)
    # It is the behaviour that is measured by the reference, not the other way round.
    back = divergence(spaces.Discrete(2), behaviour, reference)
    assert back.tolist() == pytest.approx([math.log(2 / math.sqrt(3)), 0.0], rel=1e-5)


def test_divergences_of_action_parts_add_up():
    space = spaces.MultiDiscrete([2, 3])
    reference = torch.tensor([[math.log(3.0), 0.0, 0.0, 0.0, math.log(2.0)]])
    behaviour = torch.zeros(1, 5)
    # 3/4, 1/4 against halves, and 1/4, 1/4, 1/2 against thirds.
    expected = (0.75 * math.log(1.5) + 0.25 * math.log(0.5)) + (
        0.5 * math.log(0.75) + 0.5 * math.log(1.5)
    )
    assert float(divergence(space, reference, behaviour)) == pytest.approx(expected, rel=1e-5)


def test_binary_actions_by_hand():
    reference = torch.tensor([[math.log(3.0), 0.0]])  # 3/4 and 1/2
    behaviour = torch.tensor([[0.0, -math.log(4.0)]])  # 1/2 and 1/5
    expected = (0.75 * math.log(1.5) + 0.25 * math.log(0.5)) + (
        0.5 * math.log(0.5 / 0.2) + 0.5 * math.log(0.5 / 0.8)
    )
    found = divergence(spaces.MultiBinary(2), reference, behaviour)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_continuous_actions_by_hand():
    reference = torch.tensor([[0.0, 0.5], [1.0, 0.0]])
    behaviour = torch.tensor([[0.1, 0.0], [1.0, 0.2]])
    found = divergence(LOPSIDED, reference, behaviour)
    # Twice 0.01 + 0.25, and twice 0.04.
    assert found.tolist() == pytest.approx([0.52, 0.08], rel=1e-5)
    deviation = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(
        deviation(reference, 0.5), deviation(behaviour, 0.5)
    )
    torch.testing.assert_close(found, expected.sum(1))


@pytest.mark.parametrize("action", ACTIONS)
@given(seed=st.integers(0, 999), batch=st.integers(1, 8), scale=st.sampled_from((0.1, 1.0, 30.0)))
def test_divergence_is_zero_for_equal_behaviour_and_never_negative(action, seed, batch, scale):
    size = 4 if action in ("Discrete", "MultiDiscrete") else 2
    first, second = (normal(seed + k, batch, size, scale=scale) for k in (0, 1))
    space = ACTIONS[action]
    assert divergence(space, first, first).tolist() == pytest.approx([0.0] * batch, abs=1e-5)
    apart = divergence(space, first, second)
    assert apart.shape == (batch,)
    assert torch.isfinite(apart).all()
    # Log-odds of 30 are certainties, and their distance may round to nothing.
    assert (apart > (-1e-5 if scale > 1 else 0)).all()
    if action != "Box":
        # Log-odds of alternatives are defined up to a constant.
        shifted = second if action == "MultiBinary" else second + 3.0
        found = divergence(space, first, shifted)
        torch.testing.assert_close(found, apart, rtol=1e-3, atol=1e-4)


def test_other_actions_are_refused():
    with pytest.raises(ValueError, match=r"compared on Box and discrete actions, got Tuple"):
        divergence(spaces.Tuple([spaces.Discrete(2)]), torch.zeros(1, 2), torch.zeros(1, 2))


def test_actions_in_units_of_half_the_range():
    actions = torch.tensor([[-2.0, 0.0], [0.0, 2.5], [2.0, 5.0], [1.0, 3.75], [9.0, -9.0]])
    expected = [[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0], [0.5, 0.5], [1.0, -1.0]]
    assert scaled_actions(actions, LOPSIDED).tolist() == expected


def test_unlimited_actions_are_not_scaled():
    low, high = np.float32([-np.inf, 0.0, -4.0]), np.float32([np.inf, np.inf, 4.0])
    actions = torch.tensor([[-30.0, 30.0, 2.0], [30.0, -30.0, -6.0]])
    # Half a limit clips and does not scale.
    expected = [[-30.0, 30.0, 0.5], [30.0, 0.0, -1.0]]
    assert scaled_actions(actions, spaces.Box(low, high)).tolist() == expected


def taken(space, behaviour):
    """The best action (B, ...) of a behaviour (B, A), by the meaning of the behaviour."""
    if isinstance(space, spaces.Box):
        shares = (behaviour.numpy() + 1) / 2
        return space.low + shares * (space.high - space.low)
    if isinstance(space, spaces.MultiBinary):
        return (behaviour > 0).numpy()
    if isinstance(space, spaces.MultiDiscrete):
        parts = torch.split(behaviour, space.nvec.tolist(), 1)
        return np.stack([part.argmax(1).numpy() for part in parts], 1)
    return behaviour.argmax(1).numpy()


def stir(policy, view="analogue"):
    """Change all weights of a policy until its actions depend on observations."""
    policy.set_training_mode(False)
    drawn = {name: x.clone() for name, x in policy.named_parameters()}
    seen, _ = policy.obs_to_tensor(observations(view, 40))
    for seed in range(100):
        torch.manual_seed(seed)
        with torch.no_grad():
            for name, weight in policy.named_parameters():
                weight.copy_(drawn[name] + 0.4 * torch.randn_like(weight))
            network = policy.acting_network()
            output = policy.behaviour(network(policy.network_inputs(seen))[0])
        if len(np.unique(taken(policy.action_space, output), axis=0)) > 1:
            return policy
    raise AssertionError("no weights make a difference")


def assert_says_what_it_does(policy, seen):
    tensors, _ = policy.obs_to_tensor(seen)
    with torch.no_grad():
        behaviour, spikes = policy.watched(tensors)
    chosen, _ = policy.predict(seen, deterministic=True)
    assert len(np.unique(chosen.reshape(len(chosen), -1), axis=0)) > 1
    np.testing.assert_allclose(chosen, taken(policy.action_space, behaviour), atol=1e-5)
    recorded = [layer.spikes for layer in policy.record(seen).layers if layer.name != "input"]
    assert len(spikes) == len(recorded) == 2
    assert float(spikes[-1].sum()) > 0
    for ours, theirs in zip(spikes, recorded, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(("name", "action"), STATELESS)
def test_behaviour_and_spikes_equal_acting(name, action):
    env = Identity(action=action)
    policy = stir(make(name, env, policy_kwargs={"network": TWO}).policy)
    assert_says_what_it_does(policy, observations("analogue", 40))


@pytest.mark.parametrize("view", ["spikes", "image", "Dict"])
def test_behaviour_equals_acting_in_every_view(view):
    policy = stir(make("PPO", Identity(view), policy_kwargs={"network": TWO}).policy, view)
    assert_says_what_it_does(policy, observations(view, 40))


@pytest.mark.parametrize("action", ["Discrete", "Box"])
def test_controller_behaviour_equals_acting(action):
    space = {"Discrete": ACTIONS["Discrete"], "Box": LOPSIDED}[action]
    policy = SpikingControllerPolicy(
        spaces.Box(-1.0, 1.0, (3,)), space, ConstantSchedule(1e-3), network=TWO
    )
    seen = np.random.default_rng(0).uniform(-1, 1, (40, 3)).astype(np.float32)
    assert_says_what_it_does(stir(policy), seen)


@pytest.mark.parametrize("name", ["PPO", "DQN", "SAC", "TD3"])
def test_ann_twin_behaviour_equals_acting(name):
    case = CASES[name]
    switch = "spiking" if "DQN" in name else "spiking_actor"
    policy = stir(make(name, policy_kwargs={"network": TWO, switch: False}).policy)
    seen = observations("analogue", 40)
    with torch.no_grad():
        behaviour, spikes = policy.watched(policy.obs_to_tensor(seen)[0])
    assert spikes == []
    expected = taken(ACTIONS[case.actions[0]], behaviour)
    np.testing.assert_allclose(policy.predict(seen, deterministic=True)[0], expected, atol=1e-5)


@pytest.mark.parametrize("gated", ["gru", "lstm"])
def test_gated_twin_behaviour_equals_predict(gated):
    arguments = {"network": TWO, "spiking_actor": False, "gated": gated}
    policy = stir(make("StatefulPPO", policy_kwargs=arguments).policy)
    batch = sequences(policy, length=6, count=5)
    with torch.no_grad():
        behaviour, after, spikes = policy.followed(batch, policy.acting_state(batch.states))
    assert spikes == []
    state = (policy.acting_state(batch.states).numpy(),)
    seen = batch.observations
    for step in range(6):
        start = batch.starts[step].numpy()
        actions, state = policy.predict(seen[step].numpy(), state, start, deterministic=True)
        assert np.array_equal(actions, behaviour[step].argmax(1).numpy())
    np.testing.assert_allclose(state[0], after.numpy(), atol=1e-5)


def test_watching_is_differentiable_without_side_effects():
    policy = stir(make("PPO", policy_kwargs={"network": TWO}).policy)
    seen, _ = policy.obs_to_tensor(observations("analogue", 16))
    before = {name: x.clone() for name, x in policy.acting_state_dict().items()}
    behaviour, spikes = policy.watched(seen)
    first = policy.mlp_extractor.actor.layers[0].linear.weight
    for result in (behaviour.square().sum(), spikes[0].sum()):
        (gradient,) = torch.autograd.grad(result, first, retain_graph=True)
        assert bool(gradient.abs().sum() > 0)
    for name, x in policy.acting_state_dict().items():
        assert torch.equal(x, before[name])


def sequences(policy, length, count):
    """Sequences with several episode starts, from states that are not at rest."""
    shape = (length, count)
    flat, _ = policy.obs_to_tensor(observations("analogue", length * count, seed=3))
    starts = torch.from_numpy(np.random.default_rng(1).random(shape) < 0.3)
    size = policy.rest_state(1).shape[1]
    states = normal(5, count, size, scale=0.3)
    return SequenceBatch(flat.view(*shape, -1), states, starts)


@pytest.mark.parametrize(("name", "action"), WITH_STATE)
def test_behaviour_along_sequences_equals_predict(name, action):
    model = make(name, Identity(action=action), policy_kwargs={"network": TWO})
    policy = stir(model.policy)
    batch = sequences(policy, length=6, count=5)
    with torch.no_grad():
        behaviour, spikes = policy.watched(batch)
        steps, after, runs = policy.followed(batch, policy.acting_state(batch.states))
    assert torch.equal(steps.flatten(0, 1), behaviour)
    assert all(map(torch.equal, spikes, spikes_of(runs)))
    assert all(layer.shape[:2] == (6 * 4, 5) for layer in spikes)
    state = (policy.acting_state(batch.states).numpy(),)
    seen = batch.observations
    chosen, fired = [], []
    for step in range(6):
        start = batch.starts[step].numpy()
        rested = torch.where(
            batch.starts[step].unsqueeze(1),
            policy.acting_state(policy.rest_state(1)),
            torch.from_numpy(state[0]),
        )
        layers = policy.record(seen[step].numpy(), (rested.numpy(),)).layers
        fired.append([layer.spikes for layer in layers if layer.name != "input"])
        actions, state = policy.predict(seen[step].numpy(), state, start, deterministic=True)
        chosen.append(actions)
    expected = taken(policy.action_space, behaviour)
    assert len(np.unique(expected.reshape(30, -1), axis=0)) > 1
    np.testing.assert_allclose(np.concatenate(chosen), expected, atol=1e-4)
    np.testing.assert_allclose(state[0], after.numpy(), atol=1e-4)
    for index, layer in enumerate(spikes):
        played = torch.cat([step[index] for step in fired])
        assert torch.equal(layer, played)
