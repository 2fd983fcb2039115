"""Tests of the search for the smallest networks: what it finds, and the agents that it makes."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch

import snn_gym
from snn_gym.leaderboard.evaluation import evaluate
from snn_gym.leaderboard.floor import Effort, SearchResult, SmallNetwork, agent_of, smallest
from snn_gym.learners import PPO
from snn_gym.learners.students import FAMILIES, Bank, Scaling
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.policies.frozen import FrozenPolicy
from snn_gym.program import decide
from snn_gym.zoo.build import identify

QUICK = Effort(
    sizes=(1, 2), starts=1, rounds=1, decisions=1_920, updates=60, shares=(0.5,),
    validation_episodes=4, finalists=2,
)  # fmt: skip


def drawn(family, env_id, rows):
    """Return a small network of random weights for a task."""
    env = gym.make(env_id)
    space, shape = env.action_space, env.observation_space.shape
    env.close()
    bank = Bank(family, (3,), shape[-1], space, torch.Generator().manual_seed(1))
    scaling = Scaling(np.full(shape[-1], 0.1, np.float32), np.full(shape[-1], 0.5, np.float32))
    return SmallNetwork(family, bank.program(0, scaling, rows), None, 0.0)


@pytest.mark.parametrize(("family", "env_id", "rows"), [
    *((family, ("CartPole-v1", "Pendulum-v1")[k % 2], 0) for k, family in enumerate(FAMILIES)),
    ("recurrent_lif", "snn/CueAccumulation-v0", 8), ("rnn", "snn/CueAccumulation-v0", 8),
])  # fmt: skip
def test_an_agent_acts_as_its_network(family, env_id, rows, tmp_path):
    small = drawn(family, env_id, rows)
    model = agent_of(small, env_id, seed=0)
    snn_gym.save_agent(model, tmp_path)
    again = snn_gym.load_agent(tmp_path)
    env = snn_gym.make_vec_env(env_id, 4, seed=0)
    seen, state, carried, theirs = env.reset(), None, None, None
    for _ in range(6):
        made = decide(small.program, seen.astype(np.float32), state)
        state = made.state
        actions, carried = model.predict(seen, carried, deterministic=True)
        loaded, theirs = again.predict(seen, theirs, deterministic=True)
        np.testing.assert_allclose(actions.reshape(made.actions.shape), made.actions, rtol=1e-4)
        np.testing.assert_array_equal(actions, loaded)
        seen = env.step(actions)[0]
    assert model.policy.program().sizes == small.program.sizes


@pytest.mark.check  # students play and learn
def test_a_linear_network_and_one_neuron_keep_cartpole():
    teacher = snn_gym.load_pretrained("ppo-mlp", "CartPole-v1")
    effort = Effort(**{**vars(QUICK), "rounds": 2, "decisions": 4_800, "updates": 200})
    result = smallest(teacher, ("linear", "lif"), effort=effort, episodes=20, seed=1)
    assert result.least_return == pytest.approx(result.teacher.mean - 0.05 * (475 - 22.3), abs=1.0)
    linear = result.cheapest["linear"]
    assert linear.cost <= 4  # one product for each value
    env = gym.make("CartPole-v1")
    acting = FrozenPolicy(linear.program, env.observation_space, env.action_space)
    again = evaluate(acting, "CartPole-v1", 20)
    assert (again.returns, again.operations_per_decision) == (
        linear.evaluation.returns, linear.cost,
    )  # fmt: skip
    assert linear.evaluation.mean >= result.least_return
    assert result.cheapest["lif"].program.sizes in ((1,), (2,))


@pytest.mark.check
def test_networks_that_are_too_small_learn_from_the_return():
    """Two of CartPole's four values suffice, but not to act as the teacher does."""
    teacher = snn_gym.load_pretrained("ppo-mlp", "CartPole-v1")
    costs = []
    for generations in (0, 12):
        effort = Effort(**{
            **vars(QUICK), "sizes": (1,), "starts": 4, "shares": (0.7, 0.7), "updates": 200,
            "generations": generations,
        })  # fmt: skip
        result = smallest(teacher, ["linear"], effort=effort, margin=250, episodes=10, seed=1)
        costs.append(result.cheapest["linear"].cost)
    assert costs == [3, 2]


@pytest.mark.check
def test_networks_learn_the_right_answers_of_a_task():
    effort = replace(QUICK, sizes=(3,), starts=3, rounds=2, updates=500, validation_episodes=40)
    arguments = {"delay_steps": 1}
    result = smallest(
        "snn/DelayedMatchToSample-v0", ["recurrent_lif"], effort=effort, margin=0.05,
        episodes=200, env_kwargs=arguments,
    )  # fmt: skip
    assert (result.least_return, result.env_kwargs) == (0.95, arguments)
    # An answer without memory earns 0.5.
    assert result.cheapest["recurrent_lif"].evaluation.mean > 0.95


@pytest.mark.check
def test_the_task_keeps_its_arguments():
    teacher = snn_gym.make_agent("ppo-mlp", "Pendulum-v1", seed=0, env_kwargs={"g": 1.0})
    result = smallest(teacher, ["linear"], effort=QUICK, margin=1e5, episodes=2)
    model = agent_of(result.cheapest["linear"], result.env_id, env_kwargs=result.env_kwargs)
    assert identify(model).environment_kwargs == {"g": 1.0}
    again = evaluate(model, "Pendulum-v1", 2, env_kwargs={"g": 1.0})
    assert again.mean == pytest.approx(result.cheapest["linear"].evaluation.mean, rel=1e-3)


@pytest.mark.check
def test_a_family_does_not_depend_on_those_before_it():
    teacher = snn_gym.load_pretrained("ppo-mlp", "CartPole-v1")
    alone, after = (
        smallest(teacher, families, effort=QUICK, margin=1e3, episodes=2).cheapest["relu"]
        for families in (["relu"], ["linear", "relu"])
    )
    assert alone.evaluation.returns == after.evaluation.returns
    np.testing.assert_array_equal(alone.program.head.weights, after.program.head.weights)


@pytest.mark.parametrize(
    ("field", "value"), [("refined", -1), ("shares", (1.5,)), ("window", 6), ("starts", 0)]
)
def test_an_effort_without_sense_is_refused(field, value):
    with pytest.raises(ValueError, match=field):
        Effort(**{field: value})


def test_a_front_has_what_earns_more_than_all_that_is_cheaper():
    tried = [(4.0, 1.0), (2.0, 0.5), (2.0, 0.8), (3.0, 0.7), (6.0, 1.0), (5.0, 1.5)]
    result = SearchResult("CartPole-v1", {}, "operations", None, 1.0, tried={"relu": tried})
    assert result.front("relu") == [(2.0, 0.8), (4.0, 1.0), (5.0, 1.5)]


def test_an_id_needs_right_actions():
    with pytest.raises(ValueError, match=r"CartPole-v1 knows no right actions; give a trained"):
        smallest("CartPole-v1", ["linear"], effort=QUICK)


def test_an_agent_has_its_own_arguments():
    with pytest.raises(ValueError, match="env_kwargs are for an id"):
        smallest(snn_gym.make_agent("ppo-mlp", "CartPole-v1"), ["linear"], env_kwargs={})


def test_what_has_no_students_is_refused():
    teacher = PPO(SpikingActorCriticPolicy, "snn/Plasticity-XOR-v0", n_steps=8, batch_size=8)
    with pytest.raises(ValueError, match="small networks act by Discrete or bounded Box actions"):
        smallest(teacher, effort=QUICK)
