"""Agents behind a VecNormalize: exported with its statistics, or refused."""

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize

import snn_gym
from compiled import Compiled, needs_compiler
from snn_gym.policies import SpikingActorCriticPolicy, program_of
from snn_gym.program import decide
from snn_gym_deploy import convert, to_c, to_nir, visit


def learned(twice, spiking=True):
    """Return an agent that learned on standardised observations."""
    env = VecNormalize(snn_gym.make_vec_env("CartPole-v1", 4, seed=0), clip_obs=4.0)
    arguments = {"network": {"hidden_sizes": [8], "time_steps": 4}, "spiking_actor": spiking}
    arguments["normalise_observations"] = twice
    model = PPO(SpikingActorCriticPolicy, env, n_steps=32, batch_size=64, seed=0,
                policy_kwargs=arguments)  # fmt: skip
    return model.learn(256)


@needs_compiler
@pytest.mark.parametrize("twice", [False, True])
def test_exports_carry_the_statistics(twice, tmp_path):
    model = learned(twice)
    generator = np.random.default_rng(0)
    observations = generator.uniform(-1, 1, (300, 4)).astype(np.float32)
    program = program_of(model)
    compiled = Compiled(to_c(model, tmp_path), program)
    taken = [compiled.step(x) for x in observations]
    assert (decide(program, observations).actions == taken).mean() > 0.98
    if twice:
        with pytest.raises(ValueError, match="standardised twice, as by VecNormalize and by the"):
            to_nir(model, tmp_path / "never.nir")
        visits = visit(model, "CartPole-v1", 1)
        with pytest.raises(ValueError, match="without VecNormalize, or export as C in float"):
            to_c(model, tmp_path / "never", visits=visits, fixed_point=True)


def test_visits_use_the_statistics_and_conversions_refuse_them():
    model = learned(False, spiking=False)
    through, bare = (visit(x, "CartPole-v1", 2).costs for x in (model, model.policy))
    assert through != bare
    with pytest.raises(ValueError, match=r"behind VecNormalize is not .*normalise_obs"):
        convert(model, "CartPole-v1")
