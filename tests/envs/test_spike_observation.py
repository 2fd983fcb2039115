import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.envs import SpikeObservation
from snn_gym.envs.spiking import BatchCoder


class Script(gym.Env):
    """Show given observations one after the other."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, space, observations):
        self.observation_space = space
        self.action_space = spaces.Discrete(2)
        self._observations = observations
        self._next = 0

    def _observe(self):
        self._next += 1
        return self._observations[(self._next - 1) % len(self._observations)]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._next = 0
        return self._observe(), {"options": options}

    def step(self, action):
        return self._observe(), 1.5, False, False, {"action": action}


def wrap(space, observations, **arguments):
    return SpikeObservation(Script(space, observations), **arguments)


def latency_times(spikes):
    """Return when each channel spiked."""
    assert (spikes.sum(axis=0) == 1).all()
    return spikes.argmax(axis=0).tolist()


def test_a_box_is_scaled_from_its_bounds_and_flattened():
    low = np.array([[0, -10], [0, 100]], np.float32)
    high = np.array([[4, 10], [1, 200]], np.float32)
    env = wrap(
        spaces.Box(low, high),
        [np.array([[4, -10], [0.5, 125]], np.float32)],
        encoder="latency",
        time_steps=5,
    )
    spikes, _ = env.reset()
    assert env.observation_space == spaces.MultiBinary((5, 4))
    # intensities 1, 0, 1/2, 1/4 -> steps 4 (1 - x)
    assert latency_times(spikes) == [0, 4, 2, 3]


def test_given_limits_replace_infinite_bounds():
    box = spaces.Box(-np.inf, np.inf, (3,))
    observations = [np.array([-1.0, 0.0, 99.0], np.float32)]
    for low, high in ((-1, 1), ([-1, -1, -1], np.ones(3))):
        env = wrap(box, observations, encoder="latency", time_steps=3, low=low, high=high)
        assert latency_times(env.reset()[0]) == [2, 1, 0]


def test_integer_images_are_encoded():
    image = np.array([[[0], [255]], [[51], [204]]], np.uint8)
    env = wrap(spaces.Box(0, 255, (2, 2, 1), np.uint8), [image], encoder="latency", time_steps=6)
    assert latency_times(env.reset()[0]) == [5, 0, 4, 1]


def test_discrete_is_one_hot():
    env = wrap(spaces.Discrete(3, start=-1), [np.int64(-1), 0, 1], encoder="rate", time_steps=2)
    seen = [env.reset(seed=0)[0], env.step(0)[0], env.step(0)[0]]
    assert [spikes.tolist() for spikes in seen] == [
        [[1, 0, 0]] * 2,
        [[0, 1, 0]] * 2,
        [[0, 0, 1]] * 2,
    ]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Discrete(3), r"low and high are for Box observations only.*Discrete"),
        (spaces.Dict({"a": spaces.Discrete(2)}), "low and high are for Box observations only"),
    ],
)
def test_limits_are_for_boxes_only(space, message):
    with pytest.raises(ValueError, match=message):
        wrap(space, [0], low=0, high=3)


def test_other_spaces_are_refused_with_a_remedy():
    with pytest.raises(ValueError, match=r"expected Box, Discrete or MultiDiscrete\. Flatten"):
        wrap(spaces.Dict({"a": spaces.Discrete(2)}), [{"a": 0}])


@given(nvec=st.lists(st.integers(1, 5), min_size=1, max_size=4), data=st.data())
def test_categories_have_separate_channels(nvec, data):
    observation = np.array([data.draw(st.integers(0, n - 1)) for n in nvec])
    coder = BatchCoder(spaces.MultiDiscrete(nvec), "rate", {"timing": "regular"}, 1)
    spikes = coder.start(observation[np.newaxis])[0, 0]
    assert spikes.shape == (sum(nvec),)
    groups = np.split(spikes, np.cumsum(nvec)[:-1])
    assert [group.tolist().index(1) for group in groups] == observation.tolist()
    assert spikes.sum() == len(nvec)


def test_delta_compares_with_the_step_before_and_starts_silent():
    observations = [np.array([value], np.float32) for value in (0.5, 0.75, 0.75, 0.25)]
    env = wrap(
        spaces.Box(0, 1, (1,)),
        observations,
        encoder="delta",
        time_steps=3,
        encoder_parameters={"threshold": 0.25},
    )
    first = env.reset()[0]
    later = [env.step(0)[0] for _ in range(3)]
    assert first.tolist() == [[0, 0]] * 3
    assert [spikes.sum(axis=0).tolist() for spikes in later] == [[1, 0], [0, 0], [0, 2]]
    # a new episode starts silent too, however far the observation jumps
    assert not env.reset()[0].any()


def test_rewards_and_flags_pass_through():
    env = wrap(spaces.Discrete(2), [0, 1])
    _, info = env.reset(seed=1, options={"easy": True})
    assert info == {"options": {"easy": True}, "analogue_observation": np.array(0)}
    _, reward, terminated, truncated, info = env.step(1)
    assert (reward, terminated, truncated) == (1.5, False, False)
    assert info == {"action": 1, "analogue_observation": np.array(1)}
    assert env.action_space == spaces.Discrete(2)


def test_info_holds_a_copy_of_the_observation():
    shared = np.array([0.5], np.float32)
    env = wrap(spaces.Box(0, 1, (1,)), [shared])
    _, info = env.reset()
    shared[0] = 0.9
    assert info["analogue_observation"].tolist() == [0.5]


def test_random_spikes_depend_only_on_the_seed():
    box, observations = spaces.Box(0, 1, (20,)), [np.full(20, 0.5, np.float32)]
    env = wrap(box, observations, encoder="rate")
    other = wrap(box, observations, encoder="rate")
    first, again = env.reset(seed=3)[0], env.step(0)[0]
    assert not np.array_equal(first, again)
    np.random.seed(0)  # noqa: NPY002 - the global generator must not matter
    assert np.array_equal(other.reset(seed=3)[0], first)
    assert np.array_equal(other.reset()[0], again)
    assert not np.array_equal(other.reset(seed=4)[0], first)


def test_wrapper_does_not_use_the_random_stream_of_the_environment():
    box, observations = spaces.Box(0, 1, (2,)), [np.full(2, 0.5, np.float32)]
    env = wrap(box, observations, encoder="rate")
    env.reset(seed=3)
    env.step(0)
    assert env.unwrapped.np_random.random() == np.random.default_rng(3).random()


def test_noise_is_independent_of_the_start_state():
    coder = BatchCoder(spaces.Discrete(2), "rate", None, 1)
    coder.seed([3])
    noise = coder._noise_sources[0].random(1000)
    assert not np.isin(noise, np.random.default_rng(3).random(5000)).any()


def test_infinite_bounds_name_the_remedy():
    with pytest.raises(ValueError, match=r"not finite: pass finite low and high, .*shape \(4,\)"):
        SpikeObservation(gym.make("CartPole-v1"))


def test_many_infinite_bounds_are_counted_and_the_first_few_named():
    with pytest.raises(ValueError, match="not finite") as caught:
        wrap(spaces.Box(-np.inf, np.inf, (348,)), [])
    message = str(caught.value)
    assert message.startswith("low is -inf, -inf, -inf, … in 348 of 348 values, not finite: pass ")
    assert "snn_gym.estimate_limits(env)" in message
    assert len(message) < 300
    low = np.where(np.arange(348) < 340, -1.0, -np.inf)
    with pytest.raises(ValueError, match=r"^low is -inf, -inf, -inf, … in 8 of 348 values"):
        wrap(spaces.Box(-np.inf, np.inf, (348,)), [], low=low, high=1.0)


@pytest.mark.parametrize(
    "bound", [np.inf, np.finfo(np.float32).max, np.nan], ids=["inf", "largest", "nan"]
)
@pytest.mark.parametrize("side", ["low", "high"])
def test_non_finite_limits_are_refused(bound, side):
    limits = {"low": 0.0, "high": 1.0, side: bound}
    with pytest.raises(ValueError, match=f"^{side} is .*not finite"):
        wrap(spaces.Box(-np.inf, np.inf, (2,)), [], **limits)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"encoder": "poisson"},
            "^encoder 'poisson' is not allowed; "
            "allowed encoders: rate, latency, population, delta$",
        ),
        ({"encoder": "constant"}, "^encoder 'constant' is not allowed; allowed encoders: rate"),
        ({"time_steps": 0}, "^time_steps must be a whole number from 1 to 10000, got 0$"),
        ({"time_steps": 2.0}, r"^time_steps must be a whole number from 1 to 10000, got 2\.0$"),
        ({"time_steps": True}, "^time_steps must be a whole number from 1 to 10000, got True$"),
        (
            {"encoder_parameters": {"sigma": 1}},
            "^encoder 'population': unknown key sigma; allowed keys: neurons_per_dimension, width",
        ),
        ({"low": [0, 0]}, r"^low has shape \(2,\), expected a number or shape \(3,\)$"),
        ({"low": 1.0}, r"^every low must be below its high, got low=1\.0, high=None$"),
    ],
)
def test_wrong_arguments_are_named_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        wrap(spaces.Box(0, 1, (3,)), [], **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("base_id", "arguments"),
    [
        ("FrozenLake-v1", {"encoder": "latency", "time_steps": 4}),
        ("MountainCar-v0", {"encoder_parameters": {"width": 0.5}}),
        (
            "CartPole-v1",
            {"encoder": "rate", "low": np.array([-3, -3, -1, -3.0]), "high": [3, 3, 1, 3]},
        ),
    ],
)
def test_spec_recreates_the_wrapped_environment(base_id, arguments):
    env = SpikeObservation(gym.make(base_id), **arguments)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, SpikeObservation)
    assert again.observation_space == env.observation_space
    assert np.array_equal(again.reset(seed=2)[0], env.reset(seed=2)[0])
    assert np.array_equal(again.step(1)[0], env.step(1)[0])
