import copy

import gymnasium as gym
import numpy as np
import pytest

import snn_gym
from snn_gym.envs import BatchedSpikingEnv, SpikeObservation, SpikingEnv
from snn_gym.envs.registry import load_environment_spec


@pytest.mark.parametrize("encoder", ["rate", "latency", "population", "delta"])
def test_environment_and_wrapper_give_the_same_spikes(encoder):
    settings = load_environment_spec("CartPole-v1").spikes
    env = gym.make("snn/CartPole-v1", encoder=encoder)
    wrapped = SpikeObservation(
        gym.make("CartPole-v1"),
        encoder=encoder,
        encoder_parameters=settings.encoder_parameters.get(encoder),
        low=settings.low,
        high=settings.high,
    )
    assert np.array_equal(env.reset(seed=6)[0], wrapped.reset(seed=6)[0])
    for action in (0, 1, 1, 0, 1):
        assert np.array_equal(env.step(action)[0], wrapped.step(action)[0])


def test_default_encoder_parameters_come_from_the_environment_file():
    # one step of full acceleration changes the velocity by less than 0.05 of its range
    env = gym.make("snn/MountainCar-v0", encoder="delta")
    coarse = gym.make("snn/MountainCar-v0", encoder="delta", encoder_parameters={"threshold": 0.05})
    for made in (env, coarse):
        made.reset(seed=0)
    assert env.step(2)[0].any()
    assert not coarse.step(2)[0].any()


def test_limits_can_be_replaced():
    env = gym.make("snn/Pendulum-v1", encoder="latency", low=-100, high=100)
    spikes, _ = env.reset(seed=0)
    # every value lies in the middle of the range: step floor(7 / 2 + 1/2) or the one before
    assert set(spikes.argmax(axis=0)) <= {3, 4}


@pytest.mark.parametrize("env_id", ["snn/Pendulum-v1", "snn/LunarLander-v3"])
@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_an_unknown_argument_is_a_type_error(env_id, make):
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'frameskip'"):
        make(env_id, frameskip=4)


def test_a_wrong_render_mode_is_named():
    with pytest.raises(ValueError, match="'ascii' is unknown; allowed modes: human, rgb_array"):
        SpikingEnv("CartPole-v1", render_mode="ascii")


def test_unknown_base_ids_are_named():
    for make in (SpikingEnv, BatchedSpikingEnv):
        with pytest.raises(ValueError, match="environment 'Taxi-v3' is unknown") as caught:
            make("Taxi-v3")
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="'FrozenLake-v1' is unknown") as caught:
        SpikingEnv("FrozenLake-v1")
    code = str(caught.value).rpartition(" with ")[2]
    assert code == "snn_gym.envs.SpikeObservation(gymnasium.make('FrozenLake-v1'))"
    env = snn_gym.envs.SpikeObservation(gym.make("FrozenLake-v1"))
    assert env.reset(seed=0)[0].any()


def test_info_holds_a_copy_of_the_observation(monkeypatch):
    env = gym.make("snn/CartPole-v1").unwrapped
    shared = np.zeros(4, np.float32)
    monkeypatch.setattr(env.base, "reset", lambda **_: (shared, {}))
    monkeypatch.setattr(env.base, "step", lambda action: (shared, 1.0, False, False, {}))
    infos = [env.reset(seed=0)[1], env.step(0)[4]]
    shared[:] = 1
    assert not any(info["analogue_observation"].any() for info in infos)


def test_task_arguments_are_passed_through():
    env = gym.make("snn/Pendulum-v1", g=9.81)
    assert env.unwrapped.base.g == 9.81
    plain = gym.make("Pendulum-v1", g=9.81)
    for one in (plain, env):
        one.reset(seed=1)
    action = np.ones(1, np.float32)
    assert env.step(action)[1] == plain.step(action)[1]


def test_deep_copies_keep_all_task_arguments():
    # Gymnasium's own copy forgets how much it earns upright and takes the noise for a camera.
    env = gym.make("snn/InvertedDoublePendulum-v5", healthy_reward=3.0, reset_noise_scale=0.0)
    same = copy.deepcopy(env)
    rewards = []
    for one in (env, same):
        one.reset(seed=0)
        rewards.append(one.step([0.0])[1])
    # The poles hardly move from upright, where the tip is 0.8 m below the 2 m of the penalty.
    assert rewards == [pytest.approx(3.0 - 0.8**2, abs=1e-6)] * 2
