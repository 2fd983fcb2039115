"""Residual of converted networks: traces by hand, and equality without a share."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snn_gym import load_pretrained
from snn_gym.leaderboard import evaluate
from snn_gym.program.neurons import NEURONS, SoftIAFParameters
from snn_gym.spiking.layer_neurons import LayerNeurons
from snn_gym_deploy import ResidualPolicy, choose_share, convert
from snn_gym_deploy.conversion import next_start


@pytest.fixture(scope="module")
def neuron():
    return LayerNeurons(NEURONS["iaf_soft"], SoftIAFParameters(), 1.0, "superspike", 5.0)


def decide(neuron, current, start, share, steps):
    """Return the spikes of one decision, and the potential in which the next one begins."""
    held = torch.full((1, 1, 1), current, dtype=torch.float64)
    begin = torch.full((1, 1), start, dtype=torch.float64)
    run = neuron.run_stepped(held, (begin,), steps)
    fired = run.spikes.sum(0)
    return int(fired), float(next_start(begin, run.final[0], fired, share))


@pytest.mark.parametrize(("share", "current", "expected"), [
    # 0.5 0.85 1.2>0.2 0.55 0.9: one spike of 1.4, 0.4 left; then 0.9 1.25>0.25 0.6 0.95
    # 1.3>0.3: two spikes, 0.6 too many, of which 0.5 can be made up for; then 0.35 0.7
    # 1.05>0.05 0.4: one spike.
    (1.0, 0.35, [(1, 0.9), (2, 0.0), (1, 0.9)]),
    # Half of 0.4; then 0.7 1.05>0.05 0.4 0.75 1.1>0.1: two spikes, half of 0.6.
    (0.5, 0.35, [(1, 0.7), (2, 0.2)]),
    (0.0, 0.35, [(1, 0.5), (1, 0.5)]),
    # A ReLU gives nothing for a negative sum, so that nothing is left of it.
    (1.0, -0.2, [(0, 0.5), (0, 0.5)]),
    # One spike a step at most: 8 in, 4 out, and no more than 0.5 is carried.
    (1.0, 2.0, [(4, 1.0)]),
])  # fmt: skip
def test_decisions_by_hand(neuron, share, current, expected):
    start = 0.5
    for spikes, following in expected:
        found, start = decide(neuron, current, start, share, 4)
        assert (found, start) == (spikes, pytest.approx(following, abs=1e-9))


def test_spikes_for_a_negative_sum_are_all_surplus():
    # From 0.9 by +0.4 over the threshold, then down by 1: sum -0.6, one spike, residual -1.
    start, end, spikes = (torch.tensor([[x]]) for x in (0.9, -0.7, 1.0))
    assert next_start(start, end, spikes, 0.3).item() == pytest.approx(0.2)
    assert next_start(start, end, spikes, 1.0).item() == 0.0


@given(
    start=st.floats(0.0, 1.0),
    end=st.floats(-20.0, 20.0),
    spikes=st.integers(0, 32),
    share=st.floats(0.0, 1.0),
)
def test_a_decision_begins_between_zero_and_the_threshold(start, end, spikes, share):
    found = next_start(torch.tensor(start), torch.tensor(end), torch.tensor(float(spikes)), share)
    assert 0.0 <= float(found) <= 1.0


AGENTS = (("dqn-mlp", "CartPole-v1"), ("qrdqn-mlp", "CartPole-v1"), ("sac-mlp", "Pendulum-v1"))


@pytest.fixture(scope="module", params=AGENTS, ids=lambda pair: pair[0])
def converted(request):
    agent, env_id = request.param
    return env_id, convert(load_pretrained(agent, env_id), env_id, 8, decisions=200)


def test_a_share_of_zero_changes_no_action(converted):
    env_id, policy = converted
    carried, env = ResidualPolicy(policy, 0.0), gym.make(env_id)
    seen = np.stack([env.reset(seed=seed)[0] for seed in range(20)])
    expected = policy.predict(seen, deterministic=True)[0]
    actions, state = carried.predict(seen)
    np.testing.assert_allclose(actions, expected, rtol=0, atol=1e-5)
    assert actions.shape == expected.shape
    np.testing.assert_allclose(carried.predict(seen, state)[0], expected, rtol=0, atol=1e-5)
    assert carried.predict(seen[0])[0].shape == (env.action_space.shape or ())


def test_a_residual_ends_with_its_episode(converted):
    env_id, policy = converted
    carried, env = ResidualPolicy(policy, 1.0), gym.make(env_id)
    seen = np.stack([env.reset(seed=seed)[0] for seed in range(4)])
    _, state = carried.predict(seen)
    assert ((state[0] >= 0.0) & (state[0] <= 1.0)).all()
    assert not np.array_equal(state[0], np.full_like(state[0], 0.5))
    starts = np.array([True, False, True, False])
    _, after = carried.predict(seen, state, starts)
    anew = carried.predict(seen)[1][0]
    assert np.array_equal(after[0][starts], anew[starts])
    assert not np.array_equal(after[0][~starts], anew[~starts])
    # Recordings begin with the state of the decision.
    rest, late = (carried.record(seen, x).costs for x in (None, state))
    assert rest.spikes_per_decision != late.spikes_per_decision


def test_the_share_with_the_highest_return_is_chosen():
    policy = convert(load_pretrained("dqn-mlp", "CartPole-v1"), "CartPole-v1", 4, decisions=200)
    share = choose_share(policy, "CartPole-v1", (0.0, 1.0), episodes=2)
    seeds = range(1_000_000_000, 1_000_000_002)
    means = [
        evaluate(ResidualPolicy(policy, x), "CartPole-v1", seeds=seeds).mean for x in (0.0, 1.0)
    ]
    assert share == (1.0 if means[1] > means[0] else 0.0)


def test_other_policies_and_shares_are_refused(converted):
    _, policy = converted
    with pytest.raises(ValueError, match="policies that `convert` made, got SpikingActorCritic"):
        ResidualPolicy(load_pretrained("ppo-lif", "CartPole-v1").policy, 0.5)
    with pytest.raises(ValueError, match=r"share must be at least 0 and at most 1, got 1\.5"):
        ResidualPolicy(policy, 1.5)
    with pytest.raises(ValueError, match="draws no actions"):
        ResidualPolicy(policy, 0.5).predict(np.zeros(4, np.float32), deterministic=False)
