"""The table of synapses that are shed with the spikes, from outcomes made by hand."""

from studies.lean.outcome import write_outcome
from studies.lean.plan import SYNAPSE_TASKS
from studies.lean.report_shedding import shedding_page
from studies.lean.tables import read_outcomes
from tests.studies.lean.made import cells_of, made_outcome


def test_input_spikes_count_and_arms_stand_beside_off(tmp_path):
    def keep(arm, seed, mean, synops):
        changes = {"task": "snn/CartPole-v1", "synops": synops}
        write_outcome(tmp_path, made_outcome(f"synapses-{arm}", seed, mean, **changes))

    for seed, lean in ((150, 10.0), (151, 40.0)):
        keep("off", seed, 500.0, {"input": 300.0, "hidden_1": 100.0})
        keep("lean", seed, 499.0, {"input": 0.0, "hidden_1": lean})
    keep("prune", 150, 1.0, {"hidden_1": 1.0})  # a seed alone has no row
    section = shedding_page(read_outcomes(tmp_path))
    found = cells_of(section, "snn/CartPole-v1")
    assert (found["arm"], found["seeds"]) == ("lean", "2")
    assert found["SynOps, off"] == "400 (400 to 400)"
    assert found["SynOps"] == "25 (10 to 40)"
    assert found["SynOps factor"] == "20.0"  # the root of 40 times 10
    assert (found["operations, off"], found["operations"]) == ("500", "125")
    assert found["factor"] == "4.0"  # the root of 500 / 110 times 500 / 140
    assert (found["lower bound"], found["no loss"]) == ("-1.0 (-22.7)", "yes")
    assert section.count("| snn/CartPole-v1 |") == 1
    assert "--task Pendulum-v1@synapses" in section
    assert "Pendulum-v1@synapses" in SYNAPSE_TASKS
