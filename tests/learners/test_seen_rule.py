"""Synapse agents that see what a rule of plasticity makes of their episodes."""

import numpy as np
import pytest

from snn_gym.envs.synapses.local_measures import LOCAL_MEASURES, LocalDynamics
from snn_gym.envs.synapses.plasticity import RULES
from tests.learners.test_synapse_agents import learner, run


@pytest.mark.parametrize("shuffled", [False, True])
def test_synapses_see_what_a_rule_of_plasticity_makes_of_their_episodes(shuffled):
    model = learner(preset="weight", plasticity_rule="r_stdp", shuffled=shuffled)
    assert model.features.names == ("weight", "rule_eligibility")
    run(model, 1)
    observer = LocalDynamics(model.population, model.memory.weights, 1, rule=RULES["r_stdp"])
    model.judge(model.memory.weights, model.memory.probes[0].tolist(), observer)
    measured = observer.per_synapse()[0, :, -1]
    assert np.abs(measured).max() > 0.1
    order = model.memory.permutation if shuffled else np.arange(measured.size)
    assert np.array_equal(model._loop.observe()[0, :, 1], measured[order])
    assert learner(preset="weight").memory.dynamics.shape[-1] == len(LOCAL_MEASURES)
    with pytest.raises(
        ValueError, match="plasticity_rule 'hebb' is unknown; allowed: three_factor"
    ):
        learner(plasticity_rule="hebb")
