"""The cases of the study."""

import json

import pytest

from snn_gym._base.config import to_mapping
from snn_gym.learners.settings import PRESET_NAMES
from studies.dynamics.plan import PARTS, ablation_arms, plan
from studies.dynamics.report.size import synapses
from studies.dynamics.settings import (
    BEST_PRESET,
    NULLS,
    SIZE_HIDDEN_NEURONS,
    SYNAPSE_AGENTS,
    without_dynamics,
)


@pytest.mark.parametrize("part", PARTS)
def test_every_case_has_a_unique_place_and_plain_settings(part):
    entries = plan(part)
    assert len({entry.labels for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.part == part
        assert entry.seeds >= 5
        settings = entry.case.settings
        assert json.loads(json.dumps(settings)) == settings


def test_every_preset_and_null_is_on_both_tasks():
    labels = {entry.labels for entry in plan("presets")}
    assert labels == {(t, n) for t in ("CartPole-v1", "Teacher") for n in (*PRESET_NAMES, *NULLS)}
    assert len(PRESET_NAMES) == 12


def test_every_learner_of_a_task_has_the_same_network_and_budget():
    for part in ("presets", "ablation", "transfer"):
        for task in {entry.labels[0] for entry in plan(part)}:
            settings = [x.case.settings for x in plan(part) if x.labels[0] == task]
            for name in ("network", "budget", "judgements", "solved_return"):
                assert len({json.dumps(x.get(name)) for x in settings}) == 1, (part, task, name)


def test_synapse_counts_equal_the_networks():
    counts = [synapses(hidden) for hidden in SIZE_HIDDEN_NEURONS]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (51, 9_998)
    (smallest,) = (x for x in plan("size") if x.labels == ("es", str(SIZE_HIDDEN_NEURONS[0])))
    model = smallest.case.make(0)
    assert model.population.parameter_count == counts[0]


def test_arms_differ_only_in_knowledge_of_the_dynamics():
    settings = SYNAPSE_AGENTS["CartPole-v1"][BEST_PRESET]
    arms = {name: to_mapping(x) for name, x in ablation_arms(settings).items()}
    changed = {
        name: {key for key in values if values[key] != arms["dynamics"][key]}
        for name, values in arms.items()
    }
    assert changed == {
        "dynamics": set(),
        "features": {"reward"},
        "off": {"preset", "reward"},
        "shuffled": {"shuffled"},
    }
    assert arms["off"]["reward"] == arms["features"]["reward"] == "global"
    with pytest.raises(ValueError, match=r"preset 'weight' has no dynamics"):
        without_dynamics(SYNAPSE_AGENTS["CartPole-v1"]["weight"])
