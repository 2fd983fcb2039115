"""Tests of observation spaces: network inputs, and error messages."""

import sys

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.torch_layers import (
    BaseFeaturesExtractor,
    CombinedExtractor,
    FlattenExtractor,
    NatureCNN,
)
from torch import nn

from snn_gym import policies
from snn_gym.policies import SpikingActorCriticPolicy, SpikingDQNPolicy
from snn_gym.policies.observations import PartialNormaliser, SmallImageCNN
from snn_gym.spiking import NetworkConfig, ObservationNormaliser
from tests.policies.identity import ACTIONS, CASES, SMALL, refused

TWO = spaces.Discrete(2)
IMAGE = spaces.Box(0, 255, (1, 36, 36), np.uint8)
algorithms = pytest.mark.parametrize("name", ["PPO", "DQN", "SAC"])


def policy(space, name="PPO", **arguments):
    case = CASES[name]
    arguments = {"network": SMALL, **case.policy_kwargs, **arguments}
    return case.policy(space, ACTIONS[case.actions[0]], lambda _: 1e-3, **arguments)


def seen(agent, observations):
    """Return the inputs of the acting network for a batch."""
    tensor, _ = agent.obs_to_tensor(observations)
    with torch.no_grad():
        return agent.network_inputs(tensor)


@algorithms
def test_one_hots_and_flags_reach_the_network_unchanged(name):
    for space, observation, expected in (
        (spaces.Discrete(3), [2, 0], [[0, 0, 1], [1, 0, 0]]),
        (spaces.MultiDiscrete([2, 3]), [[1, 2]], [[0, 1, 0, 0, 1]]),
        (spaces.MultiBinary(3), [[1, 0, 1]], [[1, 0, 1]]),
    ):
        agent = policy(space, name)
        assert agent.normaliser is None
        assert seen(agent, np.array(observation)).tolist() == expected


@algorithms
def test_spike_trains_keep_their_time_axis(name):
    agent = policy(spaces.MultiBinary((5, 3)), name)
    assert agent.normaliser is None
    trains = np.random.default_rng(0).integers(0, 2, (4, 5, 3), dtype=np.int8)
    assert np.array_equal(seen(agent, trains).numpy(), trains)
    recording = agent.record(trains)
    assert np.array_equal(recording.layers[0].spikes.numpy(), trains.transpose(1, 0, 2))


@algorithms
def test_an_image_passes_stable_baselines_cnn(name):
    agent = policy(IMAGE, name)
    assert agent.features_extractor_class is NatureCNN
    assert agent.normaliser is None
    images = np.random.default_rng(0).integers(0, 256, (2, 1, 36, 36), dtype=np.uint8)
    extractor = agent.acting_extractor()
    expected = extractor(torch.from_numpy(images).float() / 255.0)
    assert torch.equal(seen(agent, images), expected)
    # Channels may come last, as Stable-Baselines3 allows.
    assert torch.equal(seen(agent, images.transpose(0, 2, 3, 1)), expected)


@pytest.mark.parametrize(
    ("name", "shape"), [("PPO", (4, 10, 10)), ("DQN", (1, 35, 40)), ("SAC", (2, 3, 3))]
)
def test_a_small_image_passes_the_network_of_minatar(name, shape):
    agent = policy(spaces.Box(0, 255, shape, np.uint8), name)
    assert agent.normaliser is None
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    extractor = agent.acting_extractor()
    assert isinstance(extractor, SmallImageCNN)
    kernels, bias = extractor.cnn[0].weight, extractor.cnn[0].bias
    assert kernels.shape == (16, shape[0], 3, 3)
    # As a product of the 3 x 3 patches with the kernels, and the linear layer on all of it.
    patches = nn.functional.unfold(torch.from_numpy(images).float() / 255.0, 3)
    maps = torch.relu(kernels.flatten(1) @ patches + bias[:, None]).flatten(1)
    expected = torch.relu(maps @ extractor.linear[0].weight.T + extractor.linear[0].bias)
    assert expected.shape == (2, 128)
    assert torch.allclose(seen(agent, images), expected, atol=1e-5)
    assert torch.equal(seen(agent, images.transpose(0, 2, 3, 1)), seen(agent, images))


@pytest.mark.parametrize(
    ("shape", "extractor"), [((4, 10, 10), SmallImageCNN), ((1, 36, 36), NatureCNN)]
)
def test_scaled_images_are_not_rescaled(shape, extractor):
    agent = policy(spaces.Box(0.0, 1.0, shape), normalize_images=False)
    assert agent.features_extractor_class is extractor
    images = np.random.default_rng(0).random((2, *shape), dtype=np.float32)
    assert torch.equal(seen(agent, images), agent.features_extractor(torch.from_numpy(images)))
    # With scaling on, floats are values, which are flattened and standardised.
    agent = policy(spaces.Box(0.0, 1.0, shape))
    assert agent.features_extractor_class is FlattenExtractor
    assert agent.normaliser.mean.shape == (np.prod(shape),)


def test_a_dict_is_joined_and_its_vectors_are_normalised():
    box = spaces.Box(-9, 9, (2,))
    space = spaces.Dict({"b": box, "i": IMAGE, "d": TWO, "z": spaces.Box(-9, 9, (1, 2))})
    agent = policy(space, features_extractor_kwargs={"cnn_output_dim": 4})
    assert agent.features_extractor_class is CombinedExtractor
    agent.normaliser.mean.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    agent.normaliser.std.copy_(torch.tensor([1.0, 2.0, 4.0, 8.0]))
    image = np.full((1, 1, 36, 36), 200, np.uint8)
    observation = {
        "b": np.float32([[2, 4]]), "i": image, "d": np.array([1]), "z": np.float32([[[7, 9]]])
    }  # fmt: skip
    pixels = agent.features_extractor.extractors["i"](torch.from_numpy(image).float() / 255.0)
    parts = {"b": [1.0, 1.0], "d": [0.0, 1.0], "z": [1.0, 0.625], "i": pixels[0].tolist()}
    assert seen(agent, observation)[0].tolist() == [x for key in space for x in parts[key]]


@given(columns=st.lists(st.integers(0, 6), min_size=1, unique=True), seed=st.integers(0, 99))
def test_partial_normaliser_equals_a_normaliser_of_its_columns(columns, seed):
    features = 9 * torch.randn((5, 7), generator=torch.Generator().manual_seed(seed))
    partial, full = PartialNormaliser(columns), ObservationNormaliser(len(columns))
    for normaliser, inputs in ((partial, features), (full, features[:, columns])):
        with normaliser.accumulating():
            normaliser(inputs)
        normaliser.updates_started()
        normaliser.rollout_started()
    others = [k for k in range(7) if k not in columns]
    assert torch.equal(partial(features)[:, columns], full(features[:, columns]))
    assert torch.equal(partial(features)[:, others], features[:, others])
    assert partial.state_dict().keys() == full.state_dict().keys()


class Own(BaseFeaturesExtractor):
    """Features extractor for any space with given features."""

    def __init__(self, space):
        super().__init__(space, 2)

    def forward(self, observations):
        part = observations["train"] if isinstance(observations, dict) else observations
        return part.flatten(1)[:, :2]


def test_a_custom_extractor_decides_the_inputs_of_the_network():
    train = spaces.MultiBinary((3, 4))
    spikes = np.zeros((2, 3, 4), np.int8)
    spikes[1, 0, 0] = 1
    agent = policy(train, features_extractor_class=Own)
    assert seen(agent, spikes).tolist() == [[0, 0], [1, 0]]  # analogue, no time axis
    agent = policy(spaces.Dict({"train": train}), features_extractor_class=Own)
    assert seen(agent, {"train": spikes}).tolist() == [[0, 0], [1, 0]]
    assert policy(spaces.Box(-1, 1, (4,)), features_extractor_class=Own).normaliser is None


REFUSED = {
    "spike train in a Dict": (
        spaces.Dict({"a": spaces.MultiBinary((3, 4))}), {},
        r"observation 'a' of the Dict is the spike train MultiBinary\(\(3, 4\)\), which can't be "
        r"joined .* observe the spike train alone, or flatten it to MultiBinary\(12\)",
    ),
    "MultiBinary of four axes": (
        spaces.MultiBinary((2, 3, 4, 5)), {},
        r"observation space MultiBinary\(\(2, 3, 4, 5\)\) is not supported; supported: Box ",
    ),
    "Tuple observations": (
        spaces.Tuple([TWO, TWO]), {}, r"observation space Tuple.* is not supported; supported: ",
    ),
    "nested Dict": (
        spaces.Dict({"a": spaces.Dict({"b": TWO})}), {},
        r"observation 'a' of the Dict Dict.* is not supported; supported: ",
    ),
    "NatureCNN for a small image": (
        spaces.Box(0, 255, (3, 20, 40), np.uint8), {"features_extractor_class": NatureCNN},
        r"is an image of \(3, 20, 40\), channels first; NatureCNN needs at least 36 x 36 pixels: "
        r"leave features_extractor_class out",
    ),
    "small image in a Dict": (
        spaces.Dict({"a": spaces.Box(0, 255, (3, 20, 40), np.uint8)}), {},
        r"observation 'a' of the Dict is an image of .* needs at least 36 x 36",
    ),
    "image smaller than a kernel": (
        spaces.Box(0, 255, (1, 2, 9), np.uint8), {},
        r"is an image of \(1, 2, 9\); SmallImageCNN needs .* and at least 3 x 3 pixels: ",
    ),
    "floats with the channels last": (
        spaces.Box(0.0, 1.0, (10, 10, 4)), {"normalize_images": False},
        r"is an image of \(10, 10, 4\); SmallImageCNN needs the channels first, ",
    ),
    "arguments of a CNN for an image of floats": (
        spaces.Box(0.0, 1.0, (10, 10, 4)), {"features_extractor_kwargs": {"features_dim": 8}},
        r"FlattenExtractor, which observations Box\(.*float32\) pass, takes no argument "
        r"features_dim; leave features_extractor_kwargs out; images are uint8 values from 0 to 255",
    ),
    "unknown arguments of a CNN": (
        IMAGE, {"features_extractor_kwargs": {"features_dims": 8}},
        r"NatureCNN, which .* takes no argument features_dims; leave features_extractor_kwargs out",
    ),
    "Dict without CombinedExtractor": (
        spaces.Dict({"a": TWO}), {"features_extractor_class": FlattenExtractor},
        r"FlattenExtractor can't take a Dict observation space, got .*; leave "
        r"features_extractor_class out",
    ),
    "Discrete observations from 1": (
        spaces.Discrete(3, start=1), {},
        r"observation space Discrete\(3, start=1\) starts at 1, and .* counts from 0; shift it",
    ),
    "delta encoder": (
        spaces.Box(-1, 1, (3,)), {"network": NetworkConfig(encoder="delta")},
        r"encoder 'delta' .* the decision before, and \w+ starts from rest .*; use ",
    ),
    "adaptive neurons for one time step": (
        spaces.Box(-1, 1, (3,)), {"network": NetworkConfig(neuron="alif", time_steps=1)},
        r"neuron 'alif' at time_steps=1 is silent .*; use .* at least 2 time steps for a neuron",
    ),
    "an argument of another algorithm": (
        spaces.Box(-1, 1, (3,)), {"use_sde_at_warmup": True},
        r"\w+, the policy for [A-Z].*, takes no argument use_sde_at_warmup; another algorithm ",
    ),
    "rate encoder after a CNN": (
        IMAGE, {"network": NetworkConfig(encoder="rate")},
        r"encoder 'rate' passes no gradient to NatureCNN, which would never learn; use ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", list(REFUSED))
def test_refusals_name_the_space_and_a_substitute(what):
    space, arguments, message = REFUSED[what]
    for name in CASES:
        with refused(message):
            policy(space, name, **arguments)


def test_discrete_actions_must_start_at_zero_and_be_flat():
    box = spaces.Box(-1, 1, (3,))
    for action in (spaces.Discrete(3, start=-1), spaces.MultiDiscrete([2, 2], start=[0, 1])):
        with pytest.raises(ValueError, match=r"action space .* starts at .*; shift it by"):
            SpikingActorCriticPolicy(box, action, lambda _: 1e-3)
    with pytest.raises(ValueError, match=r"SpikingDQNPolicy chooses Discrete actions, got Tuple"):
        SpikingDQNPolicy(box, spaces.Tuple([TWO]), lambda _: 1e-3)
    # Stable-Baselines3's own words.
    with pytest.raises(AssertionError, match=r"is not supported\. You can flatten it"):
        SpikingActorCriticPolicy(box, spaces.MultiBinary((2, 2)), lambda _: 1e-3)


@pytest.mark.parametrize("side", [10, 36])
@pytest.mark.parametrize("encoder", ["constant", "learnable_population"])
def test_a_cnn_learns_through_the_encoder(encoder, side):
    network = NetworkConfig(hidden_sizes=(16,), time_steps=4, encoder=encoder)
    space = spaces.Box(0, 255, (1, side, side), np.uint8)
    agent = policy(space, network=network, features_extractor_kwargs={"features_dim": 8})
    images = torch.randint(0, 256, (4, 1, side, side), generator=torch.Generator().manual_seed(0))
    agent.get_distribution(images.to(torch.uint8)).distribution.logits[:, 0].sum().backward()
    for name, parameter in agent.features_extractor.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_contrib_policies_name_the_missing_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)  # as if it were not installed
    assert all(hasattr(policies, name) for name in policies.__all__)
    for name in ("SpikingQRDQNPolicy", "SpikingTQCPolicy"):
        with pytest.raises(ImportError) as caught:
            getattr(policies, name)
        assert str(caught.value) == (
            f"{name} needs sb3-contrib, which is not installed; in the clone of snn_gym, run "
            'pip install -e ".[contrib]"'
        )
    with pytest.raises(AttributeError, match="has no attribute 'SpikingPPOPolicy'"):
        _ = policies.SpikingPPOPolicy
