"""Users' neurons and soft reset: as C, frozen, and refused by name in fixed point and NIR."""

import re

import numpy as np
import pytest
import torch

from compiled import Compiled, needs_compiler
from snn_gym.policies import SpikingActorCriticPolicy, freeze
from snn_gym.program.builtin_neurons import NEURONS
from snn_gym_deploy import Visits, to_c
from snn_gym_deploy.c_spiking import neuron_function
from snn_gym_deploy.integer import units_of
from snn_gym_deploy.nir_graph import nir_graph
from tests.made import build, observe, spiking
from tests.program.own_neurons import OWN, registered

NAMES = ("iaf_soft", "lif_soft", *OWN)


@pytest.fixture(scope="module", autouse=True)
def own():
    with registered():
        yield


@needs_compiler
def test_c_with_a_function_of_its_library_decides_alike(tmp_path):
    policy = build(SpikingActorCriticPolicy, neuron="exponential")
    compiled = Compiled(to_c(policy, tmp_path), spiking(policy))
    seen = observe("analogue", 60)
    same = [compiled.step(x) == policy.predict(x, deterministic=True)[0] for x in seen]
    assert np.mean(same) > 0.95


def test_c_defines_every_shared_value_of_a_spike():
    class Sharing(OWN["resonator"]):
        @staticmethod
        def after(p, s, z):
            half = 0.5 * (s.v + s.w)
            return (1.0 - z) * s.v + z * half * half, (1.0 - z) * s.w + z * half

    lines = neuron_function(Sharing, "advance").splitlines()
    defined = {x.split()[2] for x in lines if x.strip().startswith("const float ")}
    used = set(re.findall(r"\b[tu]\d+\b", "\n".join(lines)))
    assert used
    assert used <= defined


@pytest.mark.parametrize("name", NAMES)
def test_a_frozen_agent_decides_as_its_policy(name):
    policy = build(SpikingActorCriticPolicy, neuron=name)
    seen = observe("analogue", 60)
    with torch.no_grad():
        expected = policy.predict(seen, deterministic=True)[0]
    assert (freeze(policy).predict(seen)[0] == expected).all()


@pytest.mark.parametrize(
    "name", ["lif_box", "lif_soft", "lif", "iaf", "alif", "iaf_soft", "resonator"]
)
def test_sums_and_products_have_a_fixed_point(name):
    units = units_of(NEURONS[name])
    shares = {x for x, unit in units.items() if unit == "share"}
    assert shares == {
        "lif_box": {"mem_gain"}, "lif_soft": {"mem_gain"}, "lif": {"mem_gain", "syn_gain"},
        "iaf": set(), "iaf_soft": set(),
        "alif": {"mem_gain", "syn_gain", "adapt_gain"}, "resonator": {"decay", "turn"},
    }[name]  # fmt: skip
    assert "share(" in neuron_function(NEURONS[name], "advance", fixed=True) or name in (
        "iaf",
        "iaf_soft",
    )


@pytest.mark.parametrize(("name", "message"), [
    ("quadratic", "'quadratic' has no fixed point, for it adds .*-?0.5 to a potential"),
    ("exponential", "'exponential' has no fixed point, for it has '/'; export as C in float"),
])  # fmt: skip
def test_neurons_without_fixed_point_are_refused(name, message, tmp_path):
    policy = build(SpikingActorCriticPolicy, neuron=name)
    visits = Visits((np.ones(12, bool), np.ones(9, bool)), (1.0, 1.0))
    with pytest.raises(ValueError, match=message) as caught:
        to_c(policy, tmp_path, visits=visits, fixed_point=True)
    assert "\n" not in str(caught.value)


def test_a_neuron_without_a_node_of_nir_is_refused_by_name():
    with pytest.raises(ValueError, match="neuron 'resonator' has no node in NIR"):
        nir_graph(spiking(build(SpikingActorCriticPolicy, neuron="resonator")))
