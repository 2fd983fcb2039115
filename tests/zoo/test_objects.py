"""Tests of environments given as objects: the paths of an id, an object and a callable agree."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.wrappers import RescaleObservation
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecFrameStack, VecNormalize

import snn_gym
from snn_gym.cli import main
from snn_gym.leaderboard import SubmissionError, submit
from snn_gym.plots import FilmSettings, record_film
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.training import train
from snn_gym.zoo import read_manifest

pytestmark = pytest.mark.check

STEPS = 8


class Drone(gym.Env):
    """A height to hold, without a gymnasium id; the second action lifts."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012
    observation_space = spaces.Box(-2, 2, (3,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, render_mode=None):
        self.render_mode, self.is_closed = render_mode, False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        self.state = self.np_random.uniform(-1, 1, 3).astype(np.float32)
        return self.state.copy(), {}

    def step(self, action):
        assert not self.is_closed
        self.steps += 1
        self.state[0] = np.clip(self.state[0] + (0.1 if action else -0.1), -2, 2)
        reward = 1.0 - abs(float(self.state[0]))
        return self.state.copy(), reward, False, self.steps >= STEPS, {}

    def render(self):
        return np.full((40, 40, 3), self.steps, np.uint8)

    def close(self):
        self.is_closed = True


def cartpole():
    return gym.make("CartPole-v1")


def rescaled():
    return RescaleObservation(Drone(), np.float32(-1), np.float32(1))


def quietly(*arguments, **options):
    with pytest.warns(UserWarning, match="was not tuned for unregistered/Drone"):
        return snn_gym.make_agent(*arguments, **options)


@pytest.fixture(scope="module")
def flown():
    """Return a model and the environment that it was handed."""
    env = Drone()
    model = quietly("ppo-lif", env, seed=1, n_steps=32).learn(64)
    assert not env.is_closed
    return model, env


def weights(model):
    return {name: x.clone() for name, x in model.policy.state_dict().items()}


@pytest.mark.parametrize(
    "make",
    [
        lambda: cartpole,
        lambda: snn_gym.make_vec_env("CartPole-v1", 8),
        lambda: DummyVecEnv([cartpole] * 8),
        lambda: gym.make_vec("snn/CartPole-v1", 8),
    ],
)
def test_training_in_objects_is_training_by_id(make):
    given = make()
    is_spiking = isinstance(given, gym.vector.VectorEnv)
    env_id = "snn/CartPole-v1" if is_spiking else "CartPole-v1"
    # One after the other, for making an agent seeds PyTorch.
    expected, trained = (
        weights(snn_gym.make_agent("ppo-lif", x, 3).learn(512)) for x in (env_id, given)
    )
    assert all(torch.equal(x, trained[name]) for name, x in expected.items())


def test_an_object_replaces_the_agents_copies_and_rollouts_keep_their_steps():
    with pytest.warns(UserWarning, match="in 1 given environment, not in 8, with n_steps 256 in"):
        model = snn_gym.make_agent("ppo-lif", cartpole())
    assert (model.n_envs, model.n_steps) == (1, 256)
    with pytest.warns(UserWarning, match=r"in 1 given environment, not in \d+, with n_steps"):
        model = snn_gym.make_agent("recurrent-ppo-lsnn", Drone())
    # A sequence stays as long as it was.
    assert model.n_steps == 2304
    assert model.sequence_length == 36
    # Of 64 times 36 steps each of ten has 230, of which six sequences are whole.
    many = snn_gym.make_vec_env("snn/CueAccumulation-v0", 10, seed=0)
    with pytest.warns(UserWarning, match="in 10 given environments, not in 64, with n_steps 216"):
        model = snn_gym.make_agent("recurrent-ppo-lsnn", many)
    assert (model.n_steps, model.sequence_length) == (216, 36)


@pytest.mark.parametrize("agent", ["dqsn", "es", "local-actor-critic"])
def test_every_kind_of_agent_learns_in_an_object(agent):
    env = Drone()
    model = quietly(agent, env)
    before = weights(model)
    model.learn(200)
    assert model.n_envs == 1
    assert not env.is_closed
    after = weights(model)
    assert agent != "local-actor-critic" or any(
        not torch.equal(x, after[name]) for name, x in before.items()
    )


@pytest.mark.parametrize(
    ("make", "options", "error", "message"),
    [
        (lambda: 3, {}, TypeError, "expected a gymnasium id, an environment, a VecEnv or a call"),
        (lambda: lambda: 3, {}, TypeError, "the callable made 3; expected a gymnasium environment"),
        (Drone, {"env_kwargs": {"wind": 1}}, ValueError, r"env_kwargs \{'wind': 1\} are for an id"),
        (Drone, {"n_envs": 3}, ValueError, "n_envs is 3, and unregistered/Drone was given as 1"),
    ],
)
def test_objects_that_can_not_serve_are_refused_in_a_line(make, options, error, message):
    with pytest.raises(error, match=message) as caught:
        snn_gym.make_agent("ppo-lif", make(), **options)
    assert "\n" not in str(caught.value)


def test_a_callable_that_makes_one_environment_only_is_refused(flown):
    env = Drone()
    for use in (
        lambda: snn_gym.make_agent("ppo-lif", lambda: env),
        lambda: snn_gym.evaluate(flown[0], lambda: env),
    ):
        with pytest.raises(ValueError, match="returned the same environment twice; make a new"):
            use()


@pytest.mark.parametrize("use", [snn_gym.make_vec_env, lambda x: train("ppo-lif", x, out="none")])
def test_functions_that_take_ids_alone_say_so(use):
    with pytest.raises(TypeError, match=r"expected a gymnasium id, got .*gymnasium.register gives"):
        use(Drone)


# ---- evaluations and films -----------------------------------------------------------------------
@pytest.mark.parametrize(
    "make", [cartpole, lambda: cartpole, lambda: snn_gym.make_vec_env("CartPole-v1", 3),
             lambda: SubprocVecEnv([cartpole] * 2, start_method="fork")],
)  # fmt: skip
def test_evaluations_in_objects_equal_those_by_id(make):
    model = snn_gym.load_pretrained("ppo-lif-2-steps", "CartPole-v1")
    expected = snn_gym.evaluate(model, "CartPole-v1", seeds=[5, 6, 9, 2])
    env = make()
    found = snn_gym.evaluate(model, env, seeds=[5, 6, 9, 2])
    assert (found.returns, found.lengths) == (expected.returns, expected.lengths)
    assert found.env_id == "CartPole-v1"
    assert found.operations_per_decision == pytest.approx(expected.operations_per_decision)
    if hasattr(env, "close"):
        env.close()


def test_a_callers_environments_stay_open_and_those_of_a_callable_are_closed(flown):
    made = []

    def make():
        made.append(Drone())
        return made[-1]

    model, env = flown
    assert snn_gym.evaluate(model, env, 3).returns == snn_gym.evaluate(model, make, 3).returns
    assert not env.is_closed
    assert len(made) == 3
    assert all(x.is_closed for x in made)


def test_an_object_is_scored_with_its_wrappers():
    model = quietly("ppo-lif", rescaled, n_envs=2, n_steps=32).learn(64)
    expected = snn_gym.evaluate(model, rescaled, 3).returns
    for env in (rescaled(), DummyVecEnv([rescaled] * 2), model.get_env()):
        # Rewards of a VecEnv have 32 bits.
        assert snn_gym.evaluate(model, env, 3).returns == pytest.approx(expected, rel=1e-6)
    with pytest.raises(
        ValueError, match=r"RescaleObservation stands between .* <Drone instance> does not"
    ):
        snn_gym.evaluate(model, Drone(), 3)


def test_a_models_own_statistics_normalise_and_no_others():
    env = VecNormalize(DummyVecEnv([Drone] * 2))
    model = quietly("ppo-lif", env, n_steps=32, n_envs=2).learn(64)
    inside = snn_gym.evaluate(model, Drone, 3).returns
    assert snn_gym.evaluate(model, env, 3).returns == pytest.approx(inside, rel=1e-6)
    for other in (VecNormalize(DummyVecEnv([Drone])), VecFrameStack(DummyVecEnv([Drone]), 2)):
        with pytest.raises(ValueError, match=r"other statistics|VecFrameStack stands between"):
            snn_gym.evaluate(model, other, 3)
    with pytest.raises(ValueError, match="other statistics than the model's"):
        snn_gym.evaluate(model.policy, env, 3)


def test_films_show_objects(flown, tmp_path):
    model, _ = flown
    env = Drone(render_mode="rgb_array")
    seeds = FilmSettings(episodes=2, seed=4)
    expected = list(snn_gym.evaluate(model, Drone, seeds=[4, 5]).returns)
    for given in (env, lambda: Drone(render_mode="rgb_array"), DummyVecEnv([lambda: env])):
        film = record_film(model, given, tmp_path / "film.gif", seeds)
        assert [x.episode_return for x in film.episodes] == expected
    assert not env.is_closed


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Drone, "unregistered/Drone was made with render_mode None, which draws no film"),
        (lambda: snn_gym.make_vec_env("CartPole-v1", 2), "VecEnv holds no single environment"),
    ],
)
def test_objects_that_can_not_be_filmed_are_refused(flown, make, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        record_film(flown[0], make(), tmp_path / "film.gif")


# ---- files ---------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def saved(flown, tmp_path_factory):
    return snn_gym.save_agent(flown[0], tmp_path_factory.mktemp("objects") / "drone")


def test_an_agent_of_an_object_is_loaded_with_one(flown, saved):
    assert read_manifest(saved).environment == "unregistered/Drone"
    expected = snn_gym.evaluate(flown[0], Drone, 3).returns
    for given in (Drone(), Drone, DummyVecEnv([Drone])):
        loaded = snn_gym.load_agent(saved, env=given)
        assert snn_gym.evaluate(loaded, Drone, 3).returns == expected
    assert snn_gym.load_agent(snn_gym.save_agent(loaded, saved), env=Drone).learn(64)


def test_without_one_the_message_says_how(saved):
    with pytest.raises(gym.error.UnregisteredEnv, match=r"load_agent\(path, env=Drone\(\)\)"):
        snn_gym.load_agent(saved)
    with pytest.raises(ValueError, match="observation_space of unregistered/Drone was"):
        snn_gym.load_agent(saved, env=cartpole())


def test_a_run_of_an_object_is_watched_in_an_id_of_its_class(saved, tmp_path, capsys):
    gym.register("test_objects/Drone-v0", Drone)
    film = tmp_path / "film.gif"
    assert main(["watch", str(saved), "test_objects/Drone-v0", "--save", str(film)]) == 0
    assert f"{STEPS} decisions" in capsys.readouterr().out
    assert main(["watch", str(saved), "--save", str(film)]) == 2
    assert "pass such an object in Python" in capsys.readouterr().err


def test_a_model_made_by_hand_in_an_object_is_saved_alike(tmp_path):
    model = PPO(SpikingActorCriticPolicy, Drone(), n_steps=32)
    loaded = snn_gym.load_agent(snn_gym.save_agent(model, tmp_path), env=Drone)
    assert snn_gym.evaluate(loaded, Drone, 2).returns == snn_gym.evaluate(model, Drone, 2).returns


def test_an_objects_id_and_arguments_are_recorded(tmp_path):
    env = gym.make("snn/CartPole-v1", time_steps=4)
    model = snn_gym.make_agent("ppo-lif", env, n_steps=32, n_envs=1).learn(32)
    manifest = read_manifest(snn_gym.save_agent(model, tmp_path))
    assert manifest.environment == "snn/CartPole-v1"
    assert manifest.environment_kwargs == {"time_steps": 4}
    assert snn_gym.load_agent(tmp_path).observation_space.shape[0] == 4


def test_a_run_in_objects_is_not_submitted(saved, tmp_path):
    with pytest.raises(SubmissionError, match="was trained on unregistered/Drone, which has no"):
        submit(saved)
    model = snn_gym.make_agent("ppo-lif", cartpole).learn(256)
    run = snn_gym.save_agent(model, tmp_path / "run")
    assert read_manifest(run).recipe is None
    with pytest.raises(SubmissionError, match=r"nobody can train .* environments given as objects"):
        submit(run)
