"""Tests of films of episodes: equality with evaluations, and every task."""

import base64
import io
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image
from stable_baselines3 import PPO

import snn_gym
from snn_gym.envs.registry import flat_ids, known_ids
from snn_gym.plots import Film, FilmSettings, record_film
from snn_gym.plots.films import MOST_FRAMES, describe_action, evenly, shown_return
from snn_gym.plots.frames import record_episode
from snn_gym.zoo import build_policy
from tests.parsed import Parsed

LABELS = 118


@pytest.fixture(scope="module")
def policy():
    return build_policy("ppo-lif", "CartPole-v1")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "film.gif"


DRAWN = (
    "CartPole-v1", "snn/LunarLander-v3", "snn/Hopper-v5", "snn/Recall-v0", "snn/MinAtar-Freeway-v0",
    "snn/Plasticity-XOR-v0",
)  # fmt: skip


@pytest.mark.check
@pytest.mark.parametrize(
    "env_id",
    [
        pytest.param(x, marks=[] if x in DRAWN else pytest.mark.slow)
        for x in sorted(known_ids().difference(flat_ids()))
    ],
)
def test_every_environment_can_be_watched(env_id, path):
    try:
        policy = build_policy("ppo-lif", env_id)
    except gym.error.DependencyNotInstalled as error:
        pytest.skip(str(error))
    film = record_film(policy, env_id, path, FilmSettings(max_steps=3))
    (played,) = film.episodes
    assert 1 <= played.decisions <= 3
    with Image.open(path) as gif:
        assert gif.n_frames == film.frames == played.decisions
        assert played.spikes_per_decision is not None


@pytest.mark.check
def test_film_episodes_equal_an_evaluation(policy, path):
    film = record_film(policy, "CartPole-v1", path, FilmSettings(episodes=2, seed=5))
    evaluation = snn_gym.evaluate(policy, "CartPole-v1", seeds=[5, 6])
    assert [x.seed for x in film.episodes] == [5, 6]
    assert [x.episode_return for x in film.episodes] == list(evaluation.returns)
    assert [x.decisions for x in film.episodes] == list(evaluation.lengths)
    total = sum(x.spikes_per_decision * x.decisions for x in film.episodes)
    expected = sum(evaluation.spikes_per_decision.values()) * sum(evaluation.lengths)
    assert total == pytest.approx(expected)


def test_the_last_frame_has_the_recorded_spikes(policy, path):
    record_film(policy, "CartPole-v1", path, FilmSettings(max_steps=6))
    trace = record_episode(policy, gym.make("CartPole-v1"), 0, 6)
    with Image.open(path) as gif:
        gif.seek(5)
        picture = np.array(gif.convert("RGB"))[:, LABELS:-10]
    # 8 time steps a decision, so 2 pixels for each; 64 neurons, so 2 for each
    for layer, colour in zip(trace.layers, [(0, 114, 178), (213, 94, 0)], strict=True):
        # The colours of a GIF are rounded.
        lit = (abs(picture.astype(int) - colour) <= 4).all(axis=2)
        assert layer.spikes.any()
        first_neuron = np.flatnonzero(layer.spikes.any(axis=0))[0]
        top = np.flatnonzero(lit.any(axis=1))[0] - 2 * first_neuron
        cells = lit[top : top + 128 : 2, -2 * 48 :: 2].T
        assert np.array_equal(cells, layer.spikes > 0)
        assert not lit[:, : -2 * 48].any()


def test_agents_that_do_not_spike_are_watched_without_a_raster(path):
    stock = PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, device="cpu")
    for model in (stock, build_policy("ppo-mlp", "CartPole-v1")):
        film = record_film(model, "CartPole-v1", path, FilmSettings(max_steps=2))
        assert film.episodes[0].spikes_per_decision is None
        assert film.frames == 2


@pytest.mark.parametrize("count", [1, 249, 250, 251, 1000, 1001])
def test_a_long_film_shows_an_even_part_of_the_decisions_and_the_last(count):
    frames = evenly(partial(int, k) for k in range(count))
    assert min(count, MOST_FRAMES // 2) <= len(frames) <= MOST_FRAMES
    assert frames[0] == 0
    assert frames[-1] == count - 1
    assert len(set(np.diff(frames[:-1]).tolist())) <= 1


def test_stateful_agents_carry_their_state(path):
    env_id = "snn/CueAccumulation-v0"
    policy = build_policy("recurrent-ppo-lsnn", env_id)
    (played,) = record_film(policy, env_id, path, FilmSettings(seed=3)).episodes
    evaluation = snn_gym.evaluate(policy, env_id, seeds=[3])
    assert played.episode_return == evaluation.returns[0]
    spikes = sum(evaluation.spikes_per_decision.values())
    assert played.spikes_per_decision == pytest.approx(spikes)


def test_an_agent_of_another_task_is_refused(policy, path):
    with pytest.raises(
        ValueError, match=r"on Acrobot-v1: the agent's observation_space is .* name"
    ):
        record_film(policy, "Acrobot-v1", path)
    assert not path.exists()


class Undrawn(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (4,))
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return np.zeros(4, np.float32), {}

    def step(self, action):
        return np.zeros(4, np.float32), 0.0, True, False, {}


class Blank(Undrawn):
    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012, as gymnasium has it

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def render(self):
        return None


class Undeclared(Blank):
    metadata = {}  # noqa: RUF012


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Undrawn, "needs an argument render_mode"),
        (Undeclared, r"its metadata has the render_modes \[\]; give its class"),
        (Blank, "draws NoneType, expected an image"),
    ],
)
def test_environments_without_pictures_are_refused(own_names, path, kind, message):
    gym.register("Undrawn-v0", kind, disable_env_checker=True)
    model = PPO("MlpPolicy", kind(), n_steps=8, batch_size=8, device="cpu")
    with pytest.raises(ValueError, match=message):
        record_film(model, "Undrawn-v0", path)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("episodes", 0), ("seed", -1), ("max_steps", 0), ("frames_per_second", 51)],
)
def test_settings_out_of_range_are_named(setting, value):
    with pytest.raises(ValueError, match=setting):
        FilmSettings(**{setting: value})


def test_actions_and_returns_in_a_few_letters():
    assert describe_action(np.int64(3)) == "3"
    assert describe_action(np.array([0.5, -1.0])) == "+0.50 -1.00"
    assert describe_action(np.array([0, 1, 2, 1, 1])) == "1 × 0, 3 × 1, 1 × 2"
    assert describe_action(np.linspace(0, 1, 11)) == "of 11 values, mean +0.50"
    assert (shown_return(1234.0), shown_return(-0.125)) == ("1,234", "-0.12")


@pytest.mark.check
def test_a_notebook_shows_the_film_that_a_file_would_hold(policy, path):
    settings = FilmSettings(episodes=2, seed=5, max_steps=4)
    film = record_film(policy, "CartPole-v1", settings=settings, name="<b>agent")
    parsed = Parsed(film._repr_html_())
    (image,) = parsed.attributes("img")
    kind, data = image["src"].split(",")
    assert kind == "data:image/gif;base64"
    assert base64.b64decode(data) == film.gif
    with Image.open(io.BytesIO(film.gif)) as gif:
        assert gif.n_frames == film.frames == 8
    words = "<b>agent on CartPole-v1, seed 5: return 4, seed 6: return 4"
    assert (image["alt"], parsed.said) == (words, [words])
    written = record_film(policy, "CartPole-v1", path, settings, name="<b>agent")
    assert path.read_bytes() == film.gif == written.gif
    assert Film(film.episodes, film.frames)._repr_html_() is None  # of an mp4
