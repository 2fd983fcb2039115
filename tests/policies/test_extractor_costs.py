"""Costs of features extractors, by hand and by PyTorch's counter of floating-point operations."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import (
    BaseFeaturesExtractor,
    CombinedExtractor,
    FlattenExtractor,
    NatureCNN,
)
from stable_baselines3.common.utils import ConstantSchedule
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from snn_gym.policies import SpikingActorCriticPolicy

VALUES = spaces.Box(0.5, 1.0, (3,), np.float32)
IMAGE = spaces.Box(0.0, 1.0, (2, 36, 36), np.float32)


class Projected(FlattenExtractor):
    """Flattened values, and a linear layer."""

    def __init__(self, space):
        super().__init__(space)
        self.linear = nn.Linear(3, 5)
        self._features_dim = 5

    def forward(self, observations):
        return self.linear(super().forward(observations))


class Pooled(BaseFeaturesExtractor):
    """Two convolutions with pooling, the second without biases."""

    def __init__(self, space):
        super().__init__(space, 4 * 4 * 4)
        self.layers = nn.Sequential(
            nn.Conv2d(2, 3, 5), nn.MaxPool2d(2), nn.Tanh(),
            nn.Conv2d(3, 4, 3, stride=2, bias=False), nn.AvgPool2d(2, ceil_mode=True), nn.Flatten(),
        )  # fmt: skip

    def forward(self, observations):
        return self.layers(observations)[:, :64]


class Remembered(BaseFeaturesExtractor):
    """A recurrent cell, whose state here is one half."""

    def __init__(self, space, kind=nn.GRUCell):
        super().__init__(space, 4)
        self.cell = kind(3, 4)

    def forward(self, observations):
        half = torch.full((len(observations), 4), 0.5)
        if isinstance(self.cell, nn.LSTMCell):
            return self.cell(observations, (half, half))[0]
        return self.cell(observations, half)


class Functional(BaseFeaturesExtractor):
    """A product without a module, and one of two values."""

    def __init__(self, space):
        super().__init__(space, 5)
        self.weight = nn.Parameter(torch.ones(5, 3))

    def forward(self, observations):
        features = nn.functional.linear(observations, self.weight)
        return features * features.sigmoid()


def policy_of(space, extractor, **arguments):
    torch.manual_seed(0)
    return SpikingActorCriticPolicy(
        space, spaces.Discrete(2), ConstantSchedule(0.1), normalize_images=False,
        network={"hidden_sizes": (4,), "time_steps": 2}, normalise_observations=False,
        features_extractor_class=extractor, features_extractor_kwargs=arguments,
    )  # fmt: skip


# NatureCNN on (2, 36, 36): 32 maps of 8 x 8 with kernels of 8 x 8, 64 of 3 x 3 with 4 x 4, and 64
# of 1 x 1 with 3 x 3; then 64 inputs to the features.
_FIRST, _SECOND, _THIRD = 32 * 64 * 2 * 64, 64 * 9 * 32 * 16, 64 * 64 * 9
NATURE = _FIRST + _SECOND + _THIRD
NATURE_UNITS = 32 * 64 + 64 * 9 + 64
# Convolutions: 3 maps of 32 x 32 with 2 x 5 x 5, pooled to 16 x 16; 4 of 7 x 7 with 3 x 3 x 3.
POOLED, POOLED_UNITS = 3 * 32 * 32 * 50 + 4 * 49 * 27, 3 * 32 * 32 + 4 * 49
CASES = {
    # name: (space, extractor, arguments, MACs, products of two values, units, biases, state bytes)
    "linear": (VALUES, Projected, {}, 15, 0, 5, 5, None),
    "nature": (
        IMAGE, NatureCNN, {"features_dim": 7, "normalized_image": True},
        NATURE + 64 * 7, 0, NATURE_UNITS + 7, NATURE_UNITS + 7, None,
    ),
    "pooled": (IMAGE, Pooled, {}, POOLED, 0, POOLED_UNITS, 3 * 32 * 32, None),
    "combined": (
        spaces.Dict({"image": IMAGE, "seen": VALUES}), CombinedExtractor,
        {"cnn_output_dim": 7, "normalized_image": True},
        NATURE + 64 * 7, 0, NATURE_UNITS + 7, NATURE_UNITS + 7, None,
    ),
    # 3 gates of 4 units on 3 inputs and 4 states. PyTorch's form of the unit has 2 products of
    # gates, r * h and (h - n) * z.
    "gru": (VALUES, Remembered, {}, 3 * 4 * 7, 2 * 4, 4, 2 * 12, 4 * 4),
    "lstm": (VALUES, Remembered, {"kind": nn.LSTMCell}, 4 * 4 * 7, 3 * 4, 4, 2 * 16, 4 * 4 * 2),
    "functional": (VALUES, Functional, {}, 15, 5, 0, 0, None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_extractors_by_hand_and_by_pytorchs_counter(name):
    space, extractor, arguments, macs, products, units, biases, state = CASES[name]
    policy = policy_of(space, extractor, **arguments)
    # Without a zero, neither in an observation nor behind a ReLU, all weights count.
    for module in policy.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.data.fill_(0.01)
            if module.bias is not None:
                module.bias.data.fill_(0.5)
    parts = space.spaces if isinstance(space, spaces.Dict) else {"": space}
    seen = {key: np.full((2, *part.shape), 0.75, np.float32) for key, part in parts.items()}
    seen = seen.get("", seen)
    costs = policy.record(seen).costs
    assert costs.uncounted == ()
    assert costs.macs_per_decision["extractor"] == macs + products
    assert costs.neuron_updates_per_decision.get("extractor", 0) == units
    assert costs.parameter_bytes_per_decision["extractor"] == 4 * (macs + biases)
    assert costs.state_bytes_per_decision.get("extractor") == state
    tensor, _ = policy.obs_to_tensor(seen)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        policy.extract_features(tensor, policy.features_extractor)
    assert counter.get_total_flops() == 2 * 2 * macs  # of two observations


def test_the_cost_of_an_image_does_not_depend_on_its_layout_in_memory():
    space = spaces.Box(0.0, 1.0, (2, 44, 44), np.float32)
    policy = policy_of(space, NatureCNN, features_dim=7, normalized_image=True)
    last = np.random.default_rng(0).uniform(0.1, 1.0, (2, 44, 44, 2)).astype(np.float32)
    view = last.transpose(0, 3, 1, 2)  # as VecTransposeImage returns it
    assert not view.flags.c_contiguous
    costs = policy.record(view).costs
    assert costs.uncounted == ()
    assert costs == policy.record(np.ascontiguousarray(view)).costs
    # 32 maps of 10 x 10 with kernels of 8 x 8 on 2 channels, whose inputs are not zero.
    assert costs.macs_per_decision["extractor"] > 32 * 100 * 2 * 64


class Outside(FlattenExtractor):
    """Flattened values, and a product outside of PyTorch."""

    def __init__(self, space, way):
        super().__init__(space)
        self.way = way

    def forward(self, observations):
        return self.way(super().forward(observations))


WAYS = {
    "numpy": lambda x: torch.from_numpy(x.numpy() @ np.ones((3, 3), np.float32)),
    "asarray": lambda x: torch.as_tensor(np.asarray(x) @ np.ones((3, 3), np.float32)),
    "in place": lambda x: (x, np.multiply(x.numpy(), 2.0, out=x.numpy()))[0],
    "dlpack": lambda x: torch.from_numpy(np.from_dlpack(x) * np.float32(2.0)),
    "lists": lambda x: torch.tensor([[2.0 * y for y in row] for row in x.tolist()]),
    "numbers": lambda x: torch.tensor([[2.0 * float(y) for y in row] for row in x]),
}


@pytest.mark.parametrize("name", WAYS)
def test_an_extractor_that_computes_outside_of_pytorch_is_not_counted(name):
    costs = policy_of(VALUES, Outside, way=WAYS[name]).record(np.full((2, 3), 0.75, np.float32))
    assert costs.costs.uncounted == ("Outside",)
    assert costs.costs.operations_per_decision is None


class Reused(Projected):
    """The same linear layer twice."""

    def forward(self, observations):
        values = FlattenExtractor.forward(self, observations)
        return self.linear(values) + self.linear(values)


def test_a_layer_that_multiplies_twice_counts_twice():
    policy = policy_of(VALUES, Reused)
    costs = policy.record(np.full((2, 3), 0.75, np.float32)).costs
    assert costs.macs_per_decision["extractor"] == 2 * 15
    assert costs.neuron_updates_per_decision["extractor"] == 2 * 5


def test_zeros_of_inputs_and_weights_are_no_operations():
    policy = policy_of(VALUES, Projected)
    linear = policy.features_extractor.linear
    linear.weight.data.fill_(1.0)
    linear.weight.data[0, :2] = 0.0
    costs = policy.record(np.array([[0.5, 0.0, 0.0], [0.5, 0.5, 0.5]], np.float32)).costs
    # The first value meets 4 weights; all three meet 4, 4 and 5.
    assert costs.macs_per_decision["extractor"] == (4 + 13) / 2


def test_zeros_of_an_image_are_no_operations():
    policy = policy_of(IMAGE, Pooled)
    first = policy.features_extractor.layers[0]
    first.weight.data[0] = 0.0
    seen = np.zeros((1, *IMAGE.shape), np.float32)
    seen[0, 1, 10, 10] = 1.0
    first.bias.data.zero_()  # so that behind the first layer there is what the pixel reaches
    policy.features_extractor.layers[3].weight.data.zero_()
    # One pixel is below 5 x 5 places of the kernels of two maps that are not zero.
    costs = policy.record(seen).costs
    assert costs.macs_per_decision["extractor"] == 25 * 2
