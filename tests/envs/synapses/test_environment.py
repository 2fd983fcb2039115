"""Tests of the plasticity environment of gymnasium."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from snn_gym.envs.synapses import PlasticityRule, register_rule

SMALL = {"hidden_sizes": [4], "time_steps": 3}


def hebb(seen, state, _):
    trace = 0.5 * state[0] + seen.pre
    return (trace,), trace * seen.post


@pytest.mark.parametrize("job", ["Teacher", "CartPole"])
def test_synapses_observe_eligibility_of_a_registered_rule(stepped_rules, job):
    register_rule("mine", PlasticityRule(hebb, state=("trace",)))
    arguments = {"network": SMALL, "probe_size": 3, "features": ("weight", "eligibility")}
    env = gym.make(f"snn/Plasticity-{job}-v0", rule="mine", **arguments)
    check_env(env.unwrapped, skip_render_check=True)
    core = env.unwrapped.core
    assert core.features.names == ("weight", "rule_eligibility")
    env.reset(seed=0)
    for _ in range(3):
        observation, *_ = env.step(env.action_space.sample())
        probe = core.networks.probes
        judged = core.job.judge(
            core.population, core.networks.weights, probe, measure=True, rule=stepped_rules["mine"]
        )
        seen = observation.reshape(-1, 2)
        assert np.array_equal(seen[:, 1], judged.dynamics[0, :, 6])
        np.testing.assert_allclose(seen[:, 0], core.networks.weights[0] / 4.0)
        assert np.abs(seen[:, 1]).max() > 0.1
    other = gym.make(f"snn/Plasticity-{job}-v0", rule="r_stdp", **arguments)
    for each in (env, other):
        each.unwrapped.reset(seed=1)
    assert np.array_equal(core.networks.weights, other.unwrapped.core.networks.weights)
    assert not np.array_equal(core.observe(), other.unwrapped.core.observe())


def test_wrong_arguments_are_named():
    with pytest.raises(
        TypeError, match="plasticity got an unexpected keyword argument 'stepsize'; allowed: step_s"
    ):
        gym.make("snn/Plasticity-XOR-v0", stepsize=0.1)
    with pytest.raises(ValueError, match="job 'Chess' is unknown; allowed: Teacher, XOR, Digits"):
        gym.make("snn/Plasticity-XOR-v0", job="Chess")
    env = gym.make_vec("snn/Plasticity-XOR-v0", 2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="actions must be integers 0, 1 or 2 of shape"):
        env.step(np.zeros((3, 82), int))
