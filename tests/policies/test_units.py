"""Tests of quantised weights and outputs by hand, and of policies that learn with them."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from stable_baselines3 import PPO

from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.policies.units import Quantiser, RoundedUnits
from snn_gym.program import decide
from tests.made import DENSE, build_ann, observe

QUANTISED = {name: x for name, x in DENSE.items() if "bits" in x}


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        # The mean size is 0.425: 0.9 and 0.5 exceed 0.7 of it, and have the mean size 0.7.
        (2, [0.0, -0.7, 0.7, 0.0]),
        # Multiples of 0.9 / 3: 0.33, -3, 1.67 and -0.67 of it.
        (3, [0.0, -0.9, 0.6, -0.3]),
    ],
)
def test_quantised_weights_equal_hand_worked_numbers(bits, expected):
    weights = torch.tensor([[0.1, -0.9, 0.5, -0.2]], requires_grad=True)
    quantised = Quantiser(bits)(weights)
    torch.testing.assert_close(quantised, torch.tensor([expected]))
    quantised.backward(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    assert weights.grad.tolist() == [[1.0, 2.0, 3.0, 4.0]]  # straight through
    assert not Quantiser(bits)(0 * weights).any()


@pytest.mark.parametrize(
    ("activation", "bits", "expected"),
    [
        ("tanh", 2, [-1.0, 0.0, 1.0]),  # tanh is -0.995, 0.38 and 0.96
        ("tanh", 3, [-1.0, 1 / 3, 1.0]),
        ("relu", 2, [0.0, 1 / 3, 1.0]),
    ],
)
def test_rounded_units_equal_hand_worked_numbers(activation, bits, expected):
    inputs = torch.tensor([-3.0, 0.4, 2.0], requires_grad=True)
    outputs = RoundedUnits(activation, bits)(inputs)
    torch.testing.assert_close(outputs, torch.tensor(expected))
    outputs.sum().backward()
    smooth = 1 - torch.tanh(inputs.detach()) ** 2
    slopes = smooth if activation == "tanh" else torch.tensor([0.0, 1.0, 0.0])
    torch.testing.assert_close(inputs.grad, slopes)


@pytest.mark.parametrize("arguments", QUANTISED.values(), ids=QUANTISED)
def test_weights_of_a_program_are_whole_numbers_of_a_scale(arguments):
    program, most = build_ann(**arguments).program(), max(1, 2 ** (arguments["bits"] - 1) - 1)
    for weights in (*(x.weights for x in program.layers), program.head.weights):
        scale = np.abs(weights).max() / most
        np.testing.assert_allclose(weights / scale, np.rint(weights / scale), atol=1e-4)
        assert len(np.unique(weights)) > 2
    units = decide(program, observe("analogue", 50)).layers
    for layer, values in zip(program.layers, units, strict=True):
        np.testing.assert_allclose(values * layer.levels, np.rint(values * layer.levels), atol=1e-5)


@pytest.mark.parametrize("arguments", QUANTISED.values(), ids=QUANTISED)
def test_learning_moves_floats_behind_the_bits_and_saving_keeps_them(arguments, tmp_path):
    flags = {"spiking_actor": False, "network": {"hidden_sizes": [6]}, **arguments}
    model = PPO(SpikingActorCriticPolicy, "CartPole-v1", n_steps=64, seed=0, policy_kwargs=flags)
    before = {name: x.clone() for name, x in model.policy.named_parameters()}
    assert sum("parametrizations" in name for name in before) == 2  # a hidden layer and the head
    model.learn(64)
    assert all(not torch.equal(before[name], x) for name, x in model.policy.named_parameters())
    model.save(tmp_path / "model")
    loaded = PPO.load(tmp_path / "model")
    seen = torch.randn(20, 4)
    assert torch.equal(loaded.policy.logits(seen), model.policy.logits(seen))
    assert loaded.policy.bits == arguments["bits"]


def test_bits_that_do_not_fit_are_refused():
    space, message = Box(-1.0, 1.0, (3,)), "bits=8 is for an actor that neither spikes nor carries"
    with pytest.raises(ValueError, match=message):
        SpikingActorCriticPolicy(space, space, lambda _: 0.1, bits=8)
    for bits in (1, 9, 2.5):
        with pytest.raises(ValueError, match="bits must be 2 to 8, or None, got"):
            build_ann(bits=bits)
    with pytest.raises(ValueError, match=r"activations ELU are not exported"):
        build_ann(bits=8, activation_fn=torch.nn.ELU)


@pytest.mark.parametrize("flag", [{}, {"spiking_critic": True}])
def test_a_spiking_network_without_layers_is_refused(flag):
    arguments = {"network": {"hidden_sizes": []}, "spiking_actor": not flag, **flag}
    with pytest.raises(ValueError, match="hidden_sizes must name at least one layer"):
        build_ann(**arguments)
