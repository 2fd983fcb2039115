"""The package imitation's BC and GAIL on a spiking policy, unchanged.

Its release asks for other versions of gymnasium and Stable-Baselines3, so that its wheel is
unpacked and not installed; BC and GAIL need nothing else of it.
"""

import re

import pytest

from tests.interop.programs import run, unpack_wheel

pytestmark = pytest.mark.slow  # tests/policies/test_imitation.py clones by the same calls

PROGRAM = '''
import gymnasium as gym
import numpy as np
from imitation.algorithms.adversarial.gail import GAIL
from imitation.algorithms.bc import BC
from imitation.data import rollout
from imitation.data.wrappers import RolloutInfoWrapper
from imitation.rewards.reward_nets import BasicRewardNet
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from snn_gym.policies import SpikingActorCriticPolicy

NETWORK = {"hidden_sizes": [32], "time_steps": 4}


def act(observations, state=None, starts=None):
    """Push to the side of this sum: 500 in every episode."""
    return (np.asarray(observations) @ [0.1, 0.3, 1.0, 1.0] > 0).astype(np.int64), None


env = DummyVecEnv([lambda: RolloutInfoWrapper(Monitor(gym.make("CartPole-v1")))] * 4)
env.seed(0)
rng = np.random.default_rng(0)
shown = rollout.rollout(act, env, rollout.make_sample_until(min_episodes=8), rng=rng)
spaces = env.observation_space, env.action_space
bc = BC(
    observation_space=spaces[0], action_space=spaces[1], device="cpu", rng=rng,
    policy=SpikingActorCriticPolicy(*spaces, lambda _: 1e-3, network=NETWORK),
    demonstrations=rollout.flatten_trajectories(shown),
)
bc.train(n_epochs=2, progress_bar=False, log_rollouts_venv=env, log_rollouts_n_episodes=1)
print("cloned", evaluate_policy(bc.policy, env, 10)[0])
learner = PPO(
    SpikingActorCriticPolicy, env, n_steps=64, seed=0, device="cpu",
    policy_kwargs={"network": NETWORK},
)
before = [x.clone() for x in learner.policy.parameters()]
gail = GAIL(
    demonstrations=shown, demo_batch_size=256, gen_replay_buffer_capacity=512, venv=env,
    n_disc_updates_per_round=2, gen_algo=learner, allow_variable_horizon=True,
    reward_net=BasicRewardNet(*spaces),
)
gail.train(512)
moved = [not (old == new).all() for old, new in zip(before, learner.policy.parameters())]
print("adversarial", learner.num_timesteps, all(moved), learner.policy.normaliser.count.item())
'''


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imitation")
    unpack_wheel("imitation==1.0.1", folder)
    (folder / "program.py").write_text(PROGRAM)
    return run(folder, "program.py")


def test_behavioural_cloning_learns_from_an_expert(printed):
    (mean,) = re.findall(r"^cloned (.*)$", printed, re.MULTILINE)
    assert float(mean) > 300


def test_gail_trains_ppo(printed):
    assert "adversarial 512 True 512.0" in printed
