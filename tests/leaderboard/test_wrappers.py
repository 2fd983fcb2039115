"""Tests of wrappers of environments: used in the score, or refused by name."""

import functools
import re
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces, wrappers
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorWrapper
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecTransposeImage,
)
from stable_baselines3.common.vec_env.base_vec_env import VecEnvWrapper

import snn_gym
from snn_gym.envs import StableBaselinesVecEnv
from snn_gym.envs.classic_control import BATCHED_TASKS
from snn_gym.learners import StatefulPPO
from snn_gym.policies import SpikingActorCriticPolicy, freeze, program_of
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.program import decide
from snn_gym.zoo import load_agent, save_agent

pytestmark = pytest.mark.check

SEEDS = (11, 12, 13)
CARRIED = "carried"
_TRAINING_SEED = 3


class _Lights(gym.Env[Any, Any]):
    """Images (40, 40, 1) of random brightness; the brighter pays more for the first action."""

    observation_space = spaces.Box(0, 255, (40, 40, 1), np.uint8)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._look(), {}

    def step(self, action):
        reward = self._brightness if action == 0 else 255.0 - self._brightness
        return self._look(), reward, False, False, {}

    def _look(self):
        self._brightness = float(self.np_random.integers(256))
        return self.np_random.integers(int(self._brightness) + 1, size=(40, 40, 1), dtype=np.uint8)


gym.register("test_wrappers/Lights-v0", _Lights, max_episode_steps=25)


class _Shifted(VecEnvWrapper):
    """Unknown wrapper."""

    def reset(self):
        return self.venv.reset() + 1

    def step_wait(self):
        observations, *rest = self.venv.step_wait()
        return observations + 1, *rest


class _Purse(gym.Wrapper[Any, Any, Any, Any]):
    """Sum the rewards of the first episode in float64, inside all other wrappers."""

    total, is_over = 0.0, False

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        if not self.is_over:
            self.total += float(reward)
        self.is_over = self.is_over or terminated or truncated
        return observation, reward, terminated, truncated, info


def _same(env):
    return env


def _shift(observation):
    return observation + 1


# Name of the wrapping; around single environments; around all; what refuses it, or CARRIED.
_EVERYWHERE = [
    ("none", _same, _same, CARRIED),
    ("reward only", _same, lambda env: VecNormalize(env, norm_obs=False), CARRIED),
    ("reward wrapper", lambda env: wrappers.TransformReward(env, _shift), _same, CARRIED),
    ("VecMonitor", _same, VecMonitor, CARRIED),
    ("VecFrameStack", _same, lambda env: VecFrameStack(env, 2), "VecFrameStack stands between"),
    ("unknown", _same, _Shifted, "_Shifted stands between"),
]
_ANALOGUE = [
    *_EVERYWHERE,
    ("observations and rewards", _same, VecNormalize, CARRIED),
    ("observations", _same, lambda env: VecNormalize(env, norm_reward=False), CARRIED),
    ("clipped", _same, lambda env: VecNormalize(env, clip_obs=0.5), CARRIED),
    ("over VecMonitor", _same, lambda env: VecNormalize(VecMonitor(env)), CARRIED),
    ("under VecMonitor", _same, lambda env: VecMonitor(VecNormalize(env)), CARRIED),
    ("NormalizeObservation", wrappers.NormalizeObservation, _same, "which is carried"),
    (
        "FrameStackObservation",
        lambda env: wrappers.FrameStackObservation(env, 2),
        _same,
        "FrameStackObservation stands between .* gymnasium.register",
    ),
    (
        "TransformObservation",
        lambda env: wrappers.TransformObservation(env, _shift, env.observation_space),
        _same,
        "TransformObservation stands between .* gymnasium.register",
    ),
    (
        "TimeAwareObservation",
        wrappers.TimeAwareObservation,
        _same,
        "TimeAwareObservation stands between .* gymnasium.register",
    ),
    ("two", _same, lambda env: VecNormalize(VecNormalize(env)), "2 VecNormalize stand between"),
]
_CONTINUOUS = [
    *_ANALOGUE[6:9],
    (
        "RescaleAction",
        lambda env: wrappers.RescaleAction(env, np.float32(-1), np.float32(1)),
        _same,
        "RescaleAction stands between",
    ),
]
_IMAGES = [
    _EVERYWHERE[0],
    _EVERYWHERE[4],
    ("transposed", _same, VecTransposeImage, CARRIED),
    (
        "normalised",
        _same,
        lambda env: VecNormalize(VecTransposeImage(env)),
        "VecNormalize beside VecTransposeImage is not carried",
    ),
    ("channels last", _same, VecNormalize, CARRIED),
    (
        "transposed after",
        _same,
        lambda env: VecTransposeImage(VecNormalize(env, norm_obs=False)),
        CARRIED,
    ),
]
CASES = [
    pytest.param(env_id, *case, id=f"{env_id.split('/')[-1]}-{case[0]}")
    for env_id, cases in (
        ("CartPole-v1", _ANALOGUE),
        ("Pendulum-v1", _CONTINUOUS),
        ("test_wrappers/Lights-v0", _IMAGES),
    )
    for case in cases
]


def _environments(env_id, wrap, count, inside=_same):
    return DummyVecEnv([lambda: wrap(inside(gym.make(env_id)))] * count)


def _learned(env, **arguments):
    """Return a barely trained model with actions that depend strongly on observations."""
    arguments = {"network": {"hidden_sizes": [8]}, "normalise_observations": False, **arguments}
    model = PPO(
        SpikingActorCriticPolicy,
        env,
        n_steps=32,
        batch_size=32,
        n_epochs=1,
        seed=_TRAINING_SEED,
        policy_kwargs={"spiking_actor": False, **arguments},
    ).learn(128)
    with torch.no_grad():
        model.policy.action_net.weight.mul_(100.0)
    return model


def _by_hand(model, env_id, wrap, vec_wrap):
    env = vec_wrap(_environments(env_id, wrap, len(SEEDS), _Purse))
    trained = model.get_vec_normalize_env()
    if trained is not None:
        own = env if isinstance(env, VecNormalize) else env.venv
        own.training = False
        own.ret_rms = trained.ret_rms
        if trained.norm_obs:
            own.obs_rms = trained.obs_rms
    env.seed(SEEDS[0])  # and those that follow
    purses = [_purse(single) for single in env.unwrapped.envs]
    observations = env.reset()
    while not all(purse.is_over for purse in purses):
        actions, _ = model.predict(observations, deterministic=True)
        observations, *_ = env.step(actions)
    return [purse.total for purse in purses]


def _purse(env):
    while not isinstance(env, _Purse):
        env = env.env
    return env


@pytest.mark.parametrize(("env_id", "name", "wrap", "vec_wrap", "outcome"), CASES)
def test_wrapped_returns_equal_the_wrappers_or_are_refused(
    env_id, name, wrap, vec_wrap, outcome, tmp_path
):
    model = _learned(vec_wrap(_environments(env_id, wrap, 2)))
    if outcome is not CARRIED:
        with pytest.raises(ValueError, match=outcome) as refusal:
            snn_gym.evaluate(model, env_id, seeds=SEEDS)
        assert "\n" not in str(refusal.value)
        return
    returns = snn_gym.evaluate(model, env_id, seeds=SEEDS).returns
    expected = _by_hand(model, env_id, wrap, vec_wrap)
    if isinstance(model.action_space, spaces.Discrete):
        assert list(returns) == expected
    else:
        assert returns == pytest.approx(expected, rel=1e-6)
    loaded = snn_gym.load_agent(snn_gym.save_agent(model, tmp_path))
    assert snn_gym.evaluate(loaded, env_id, seeds=SEEDS).returns == returns


@pytest.fixture
def normalised():
    env = VecNormalize(snn_gym.make_vec_env("CartPole-v1", 4, seed=0), clip_obs=4.0, gamma=0.9)
    return _learned(env, spiking_actor=True, network={"hidden_sizes": [8], "time_steps": 4})


def test_the_bare_policy_sees_raw_observations_and_the_model_does_not(normalised):
    # Otherwise the tests above would not detect missing statistics.
    carried = snn_gym.evaluate(normalised, "CartPole-v1", seeds=SEEDS)
    bare = snn_gym.evaluate(normalised.policy, "CartPole-v1", seeds=SEEDS)
    assert carried.returns != bare.returns
    assert carried.synops_per_decision != bare.synops_per_decision


def test_an_evaluation_changes_no_statistics(normalised):
    env = normalised.get_vec_normalize_env()
    before = env.obs_rms.mean.copy(), env.obs_rms.count, env.ret_rms.count
    snn_gym.evaluate(normalised, "CartPole-v1", episodes=2)
    assert np.array_equal(env.obs_rms.mean, before[0])
    assert (env.obs_rms.count, env.ret_rms.count) == before[1:]


def test_a_state_is_carried_beside_statistics():
    network = {"hidden_sizes": [8], "recurrent": True, "time_steps": 4}
    model = StatefulPPO(
        "StatefulActorCriticPolicy", _vec_normalised(2), n_steps=32, batch_size=64, seed=0,
        policy_kwargs={"network": network, "normalise_observations": False},
    ).learn(128)  # fmt: skip
    env = _vec_normalised(len(SEEDS))
    trained = model.get_vec_normalize_env()
    env.training, env.norm_reward, env.obs_rms = False, False, trained.obs_rms
    env.seed(SEEDS[0])
    observations, state, starts = env.reset(), None, np.ones(len(SEEDS), np.bool_)
    lengths, running = np.zeros(len(SEEDS)), np.ones(len(SEEDS), np.bool_)
    while running.any():
        actions, state = model.predict(observations, state, starts, deterministic=True)
        observations, _, starts, _ = env.step(actions)
        lengths += running
        running &= ~starts
    assert snn_gym.evaluate(model, "CartPole-v1", seeds=SEEDS).returns == tuple(lengths)


def _vec_normalised(count):
    return VecNormalize(snn_gym.make_vec_env("CartPole-v1", count, seed=0))


class _FirstTwo(wrappers.TransformObservation):
    """CartPole's position and velocity."""

    def __init__(self, env):
        space = spaces.Box(-10, 10, (2,), np.float32)
        super().__init__(env, lambda observation: observation[:2], space)


def _made_of_two(**arguments):
    return _FirstTwo(gym.make("CartPole-v1", **arguments))


@pytest.fixture
def ids_with_wrappers(own_names):
    stacked = wrappers.FrameStackObservation.wrapper_spec(stack_size=2)
    gym.register(
        "Stacked-v0", "gymnasium.envs.classic_control.cartpole:CartPoleEnv",
        max_episode_steps=200, additional_wrappers=(stacked,),
    )  # fmt: skip
    gym.register("Two-v0", _made_of_two, max_episode_steps=200)


@pytest.mark.parametrize("env_id", ["Stacked-v0", "Two-v0"])
def test_wrappers_registered_with_the_id_are_accepted(env_id, ids_with_wrappers, tmp_path):
    model = _learned(VecNormalize(DummyVecEnv([lambda: gym.make(env_id)])))
    returns = snn_gym.evaluate(model, env_id, seeds=SEEDS).returns
    assert list(returns) == _by_hand(model, env_id, _same, VecNormalize)
    loaded = snn_gym.load_agent(snn_gym.save_agent(model, tmp_path))
    assert snn_gym.evaluate(loaded, env_id, seeds=SEEDS).returns == returns
    with pytest.raises(ValueError, match=r"stands between .* CartPole-v1 does not have it"):
        snn_gym.evaluate(model, "CartPole-v1", seeds=SEEDS)


@pytest.mark.parametrize("wrap", [wrappers.NormalizeObservation, wrappers.RecordEpisodeStatistics])
def test_wrappers_in_other_processes_are_detected(wrap):
    model = _learned(SubprocVecEnv([lambda: wrap(gym.make("CartPole-v1"))]))
    try:
        if wrap is wrappers.NormalizeObservation:
            with pytest.raises(ValueError, match="NormalizeObservation stands between"):
                snn_gym.evaluate(model, "CartPole-v1", seeds=SEEDS)
        else:
            assert snn_gym.evaluate(model, "CartPole-v1", seeds=SEEDS)
    finally:
        model.env.close()
    if wrap is not wrappers.NormalizeObservation:  # whose space has no limits
        with pytest.warns(UserWarning, match="environments are closed: wrappers"):
            snn_gym.evaluate(model, "CartPole-v1", seeds=SEEDS)


class _UnknownBatch(VectorWrapper[Any, Any, Any]):
    """Unknown wrapper of batches."""


def _singles(*wraps):
    def make():
        return functools.reduce(lambda env, wrap: wrap(env), wraps, gym.make("CartPole-v1"))

    return SyncVectorEnv([make] * 2, autoreset_mode=AutoresetMode.SAME_STEP)


@pytest.mark.parametrize(
    ("make", "refused"),
    [
        (lambda: BATCHED_TASKS["CartPole-v1"](2), None),
        (lambda: _UnknownBatch(BATCHED_TASKS["CartPole-v1"](2)), "_UnknownBatch"),
        (_singles, None),
        (lambda: _singles(wrappers.NormalizeObservation), "NormalizeObservation"),
    ],
)
def test_wrappers_of_gymnasium_batches_are_detected(make, refused):
    model = _learned(StableBaselinesVecEnv(make()))
    if refused is None:
        assert snn_gym.evaluate(model, "CartPole-v1", seeds=SEEDS)
    else:
        with pytest.raises(ValueError, match=f"{refused} stands between"):
            snn_gym.evaluate(model, "CartPole-v1", seeds=SEEDS)


def test_dict_observations_are_normalised_by_key():
    class Parts(gym.Env[Any, Any]):
        observation_space = spaces.Dict(
            {"a": spaces.Box(-50, 50, (3,)), "b": spaces.Box(-9, 9, (2,)), "n": spaces.Discrete(3)}
        )
        action_space = spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return self.observation_space.sample(), {}

        def step(self, action):
            return self.observation_space.sample(), 1.0, False, False, {}

    env = VecNormalize(DummyVecEnv([Parts]), norm_obs_keys=["a"])
    model = _learned(env)
    env.training = False
    raw = DummyVecEnv([Parts] * 5).reset()
    expected, found = env.normalize_obs(raw), raw_policy(model).shown(raw)
    assert set(found) == set(expected) == {"a", "b", "n"}
    for key, part in expected.items():
        assert found[key].dtype == part.dtype
        assert np.array_equal(found[key], part)


PICTURE = spaces.Box(0, 255, (36, 40, 3), np.uint8)


def _sampled(space, count=1):
    """Return environments whose observations are samples of a space."""

    class Seen(gym.Env[Any, Any]):
        observation_space = deepcopy(space)  # in which VecNormalize replaces images
        action_space = spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return self.observation_space.sample(), {}

        def step(self, action):
            return self.observation_space.sample(), 1.0, False, False, {}

    return DummyVecEnv([Seen] * count)


@pytest.mark.parametrize(
    ("space", "works"),
    [
        (PICTURE, {"norm_obs": False}),
        (spaces.Dict({"image": PICTURE}), {"norm_obs": False}),
        (spaces.Dict({"a": spaces.Box(-5, 5, (3,)), "image": PICTURE}), {"norm_obs_keys": ["a"]}),
    ],
)
def test_the_fix_named_for_statistics_of_transposed_images_works(space, works, tmp_path):
    """Of a picture alone no key can be named, so the message names what can be passed."""
    ((name, value),) = works.items()
    refused = _learned(VecNormalize(VecTransposeImage(_sampled(space))))
    with pytest.raises(ValueError, match=re.escape(f"; pass {name}={value}") + "$"):
        raw_policy(refused)
    accepted = _learned(VecNormalize(VecTransposeImage(_sampled(space)), **works))
    expected = raw_policy(accepted)
    loaded = raw_policy(load_agent(save_agent(accepted, tmp_path), env=_sampled(space)))
    seen = _sampled(space, 9).reset()
    actions, then = (x.predict(seen, deterministic=True)[0] for x in (expected, loaded))
    assert np.array_equal(actions, then)


def test_statistics_of_other_keys_are_carried_beside_transposed_images():
    space = spaces.Dict({"a": spaces.Box(-50, 50, (3,)), "image": PICTURE})
    env = VecNormalize(VecTransposeImage(_sampled(space)), norm_obs_keys=["a"])
    model = _learned(env)
    env.training = False
    raw = _sampled(space, 50).reset()
    turned = {"a": raw["a"], "image": raw["image"].transpose(0, 3, 1, 2)}
    expected = model.predict(env.normalize_obs(turned), deterministic=True)[0]
    assert 0 < expected.mean() < 1
    assert np.array_equal(raw_policy(model).predict(raw, deterministic=True)[0], expected)


def test_functions_without_statistics_refuse_vec_normalize(normalised):
    with pytest.raises(ValueError, match=r"behind VecNormalize is not .*normalise_observations"):
        snn_gym.make_lean(normalised)


@pytest.mark.parametrize("twice", [False, True])
def test_programs_carry_the_statistics_of_a_vec_normalize(twice):
    env = VecNormalize(snn_gym.make_vec_env("CartPole-v1", 4, seed=0), clip_obs=4.0)
    network = {"hidden_sizes": [8], "time_steps": 4}
    model = _learned(env, spiking_actor=True, network=network, normalise_observations=twice)
    generator = np.random.default_rng(0)
    observations = generator.uniform(-1, 1, (300, 4)).astype(np.float32)
    expected = raw_policy(model).predict(observations, deterministic=True)[0]
    bare = model.policy.predict(observations, deterministic=True)[0]
    assert (bare == expected).mean() < 0.95  # otherwise the checks below would detect no error
    program = program_of(model)
    assert len(program.normalisers) == 1 + twice
    for actions in (freeze(model).predict(observations)[0], decide(program, observations).actions):
        # A spike may flip within rounding.
        assert (actions == expected).mean() > 0.98


def test_observations_in_tuples_are_refused_in_one_line():
    class Parts(gym.Env[Any, Any]):
        observation_space = spaces.Tuple([spaces.Box(-1, 1, (2,))])
        action_space = spaces.Discrete(2)

    gym.register("test_wrappers/Parts-v0", Parts)
    with pytest.raises(ValueError, match=r"Dict of these .*, got Tuple\(.*FlattenObservation"):
        snn_gym.evaluate(SimpleNamespace(predict=None), "test_wrappers/Parts-v0", seeds=SEEDS)


def _scaled(number):
    return lambda observation: number * observation


@pytest.fixture
def ids_with_arguments(own_names):
    rescaled = wrappers.RescaleAction.wrapper_spec(min_action=-1.0, max_action=1.0)
    delayed = wrappers.DelayObservation.wrapper_spec(delay=2)
    for name, wrapper in (("Rescaled-v0", rescaled), ("Delayed-v0", delayed)):
        gym.register(
            name, "gymnasium.envs.classic_control.pendulum:PendulumEnv", max_episode_steps=200,
            additional_wrappers=(wrapper,),
        )  # fmt: skip
    gym.register("Doubled-v0", lambda: _transformed(2.0), max_episode_steps=200)


def _transformed(number):
    env = gym.make("Pendulum-v1")
    return wrappers.TransformObservation(env, _scaled(number), env.observation_space)


@pytest.mark.parametrize(
    ("env_id", "same", "other"),
    [
        (
            "Rescaled-v0",
            lambda env: wrappers.RescaleAction(env, np.float32(-1), np.float32(1)),
            lambda env: wrappers.RescaleAction(env, -8.0, 8.0),
        ),
        (
            "Delayed-v0",
            lambda env: wrappers.DelayObservation(env, 2),
            lambda env: wrappers.DelayObservation(env, 4),
        ),
        ("Doubled-v0", lambda _: _transformed(2.0), lambda _: _transformed(3.0)),
    ],
)
def test_wrappers_are_compared_with_their_arguments(env_id, same, other, ids_with_arguments):
    for make in (
        lambda wrap: DummyVecEnv([lambda: wrap(gym.make("Pendulum-v1"))]),
        lambda wrap: StableBaselinesVecEnv(
            SyncVectorEnv(
                [lambda: wrap(gym.make("Pendulum-v1"))], autoreset_mode=AutoresetMode.SAME_STEP
            )
        ),
    ):
        assert snn_gym.evaluate(_learned(make(same)), env_id, seeds=SEEDS)
        model = _learned(make(other))
        for place in (env_id, gym.make(env_id), DummyVecEnv([lambda: gym.make(env_id)])):
            with pytest.raises(ValueError, match=r"stands between .* has it with other arguments"):
                snn_gym.evaluate(model, place, seeds=SEEDS[:1])


@pytest.mark.parametrize("n_envs", [1, 64])  # single environments, and a batch
def test_other_arguments_of_the_environment_give_one_warning(n_envs, tmp_path):
    made = snn_gym.make_agent("ppo-mlp", "Pendulum-v1", 0, n_envs=n_envs, env_kwargs={"g": 1.0})
    by_hand = _learned(DummyVecEnv([lambda: gym.make("Pendulum-v1", g=1.0)]))
    said = r"was trained on Pendulum-v1 with \{'g': 1\.0\} and plays it here with \{\}"
    for model in (made, snn_gym.load_agent(snn_gym.save_agent(made, tmp_path)), by_hand):
        for place in ("Pendulum-v1", gym.make("Pendulum-v1")):
            with pytest.warns(UserWarning, match=said) as warned:
                snn_gym.evaluate(model, place, seeds=SEEDS[:1])
            assert len(warned) == 1


def _spiking_pendulum(g):
    network = {"hidden_sizes": [8], "time_steps": 4}
    env = DummyVecEnv([lambda: gym.make("Pendulum-v1", g=g)])
    return _learned(env, spiking_actor=True, network=network)


@pytest.mark.filterwarnings("error:the model was trained")
def test_the_same_arguments_and_other_environments_give_no_warning():
    model = _spiking_pendulum(1.0)
    snn_gym.evaluate(model, "Pendulum-v1", seeds=SEEDS[:1], env_kwargs={"g": 1})
    snn_gym.evaluate(model, gym.make("Pendulum-v1", g=1.0), seeds=SEEDS[:1])
    snn_gym.evaluate(_spiking_pendulum(10.0), "Pendulum-v1", seeds=SEEDS[:1], env_kwargs={"g": 10})
    snn_gym.evaluate(_learned(gym.make("CartPole-v1")), "CartPole-v0", seeds=SEEDS[:1])
