"""Learners on the Teacher job: judged as the job judges, counted by hand."""

import numpy as np
import pytest

from snn_gym._base.config import to_mapping
from snn_gym.envs.synapses.jobs import teacher
from snn_gym.learners import SynapseAgents
from studies.dynamics.settings import NULLS, SYNAPSE_AGENTS, TEACHER_NULLS
from studies.dynamics.supervised import TeacherCase

SAMPLES = 200


def score(model):
    job = teacher()
    return float(job.judge(model.population, model.weights[None], np.arange(SAMPLES)).scores[0])


def agents(preset, judgements=12):
    overrides = to_mapping(SYNAPSE_AGENTS["Teacher"][preset])
    return TeacherCase("synapse-agents", judgements, overrides=overrides)


@pytest.mark.parametrize("name", NULLS)
def test_every_null_does_the_job(name):
    case = TeacherCase(name, 40, overrides=TEACHER_NULLS[name])
    model = case.make(0)
    outcome = case.finish(model)
    assert outcome.scores == (score(model),)
    assert outcome.episodes >= 40
    assert outcome.steps == SAMPLES * outcome.episodes
    assert outcome.curve[-1][0] == outcome.steps
    assert case.train(0) == outcome


def test_accept_reject_judges_by_hand_and_never_gets_worse():
    case = TeacherCase("accept-reject", 30, overrides={"comparison": "kept_score"})
    model = case.make(0)
    before = score(model)
    outcome = case.finish(model)
    # The weights held are judged once, and then one candidate in every iteration.
    assert outcome.episodes == 30
    assert len(outcome.curve) == 29
    assert outcome.scores[0] >= before


def test_synapse_agents_see_the_dynamics_of_the_job():
    case = agents("weight+topology+dynamics")
    model = case.make(0)
    assert isinstance(model, SynapseAgents)
    outcome = case.finish(model)
    assert outcome.episodes == 12
    assert outcome.scores == (score(model),)
    judged = teacher().judge(
        model.population, model.memory.weights, np.arange(SAMPLES), measure=True
    )
    assert judged.dynamics is not None
    np.testing.assert_array_equal(model.memory.dynamics, judged.dynamics)
    assert np.any(judged.dynamics)


def test_the_size_is_a_setting():
    wide = TeacherCase("es", 1, hidden=32)
    assert wide.settings["network"]["hidden_sizes"] == [32]
    # 10 inputs and a bias, 32 neurons and a bias, 2 outputs.
    assert wide.make(0).population.parameter_count == 11 * 32 + 33 * 2
    assert wide.settings["job"] == "Teacher"
