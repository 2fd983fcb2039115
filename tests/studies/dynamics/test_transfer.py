"""Rules that are carried to other networks."""

from dataclasses import replace

import numpy as np
import pytest

from snn_gym._base.config import to_mapping
from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.population import Population
from studies.dynamics import transfer
from studies.dynamics.settings import SYNAPSE_AGENTS
from studies.dynamics.supervised import TeacherCase
from studies.dynamics.transfer import TransferCase, pretrained_rule, relabelled

PRESET = "weight+topology"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(transfer, "PRETRAINING_RUNS", 2)
    monkeypatch.setattr(transfer, "TRANSFER_JUDGEMENTS", 6)
    pretrained_rule.cache_clear()


class Swapped(np.random.Generator):
    """A generator whose permutations reverse."""

    def permutation(self, x):
        return np.arange(x)[::-1]


def test_other_indices_by_hand():
    population = Population(NetworkConfig(hidden_sizes=(3,)), 2, 2)
    table = population.synapses
    other = relabelled(table, population.sizes, Swapped(np.random.PCG64(0)))
    # Layer 0: weights of 3 neurons from 2 inputs, then 3 biases, which come from place 2.
    assert other.pre[:9].tolist() == [1, 0, 1, 0, 1, 0, 2, 2, 2]
    assert other.post[:9].tolist() == [2, 2, 1, 1, 0, 0, 2, 1, 0]
    # The head: 2 outputs, which keep their indices, from 3 neurons, and 2 biases from place 3.
    assert other.pre[9:].tolist() == [2, 1, 0, 2, 1, 0, 3, 3]
    assert other.post[9:].tolist() == [0, 0, 0, 1, 1, 1, 0, 1]
    for name in ("layer", "fan_in", "fan_out", "is_bias"):
        np.testing.assert_array_equal(getattr(other, name), getattr(table, name))


def test_a_rule_is_learned_over_several_networks(monkeypatch):
    two = pretrained_rule(PRESET, 0)
    assert pretrained_rule(PRESET, 1)["values"].shape[1] == 3
    pretrained_rule.cache_clear()
    again = pretrained_rule(PRESET, 0)
    assert all(np.array_equal(two[name], again[name]) for name in two)
    pretrained_rule.cache_clear()
    monkeypatch.setattr(transfer, "PRETRAINING_RUNS", 1)
    one = pretrained_rule(PRESET, 0)
    # What the first network taught is still there after the second.
    assert set(one["states"]) < set(two["states"])


def case(rule, *, relabelled=False):
    settings = replace(SYNAPSE_AGENTS["Teacher"][PRESET], frozen=True)
    target = TeacherCase("synapse-agents", 6, overrides=to_mapping(settings))
    return TransferCase(PRESET, target, rule, relabelled)


@pytest.mark.parametrize("rule", ["pretrained", "untrained"])
def test_a_frozen_rule_stays(rule, monkeypatch):
    models = []
    finish = TeacherCase.finish

    def keep(self, model):
        models.append(model)
        return finish(self, model)

    expected = pretrained_rule(PRESET, 3) if rule == "pretrained" else None
    monkeypatch.setattr(TeacherCase, "finish", keep)
    case(rule).train(3)
    states = models[-1].rule_memory["states"]
    if expected is None:
        assert states.size == 0
    else:
        np.testing.assert_array_equal(states, expected["states"])
        np.testing.assert_array_equal(models[-1].rule_memory["values"], expected["values"])


def test_other_indices_lead_to_other_moves():
    assert case("pretrained").train(0) != case("pretrained", relabelled=True).train(0)
    # Without a rule there is nothing that an index could matter for.
    assert case("untrained").train(0) == case("untrained", relabelled=True).train(0)


def test_settings_name_the_source_of_the_rule():
    assert case("untrained").settings["pretraining"] is None
    assert case("pretrained").settings["pretraining"]["runs"] == 2
    assert case("pretrained", relabelled=True).settings["relabelled"] is True
