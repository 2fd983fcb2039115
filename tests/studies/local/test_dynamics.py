"""Regulation ablated: arms, runs, and what the page says of them."""

from dataclasses import replace

import numpy as np
import pytest

from snn_gym.learners import LocalRegulation
from snn_gym.zoo import load_agent_spec
from studies.files import write_run
from studies.local import dynamics as module
from studies.local.dynamics import (
    AGENT,
    ARMS,
    STARTS,
    STRENGTHS,
    DynamicsRun,
    path_of,
    read_runs,
    regulation_of,
    run,
    run_missing,
)
from studies.local.report_dynamics import corrected, dynamics_section, verdict
from studies.statistics import holm_by_name, rank_sum_p

GOOD, BAD = (500.0,) * 100, (20.0,) * 150


def made(start="usual", arm="off", seed=700, returns=GOOD, **numbers):
    given = {"evaluation": (500.0,), "synops": 400.0, "rate_hz": 390.0, "silent": 0.5, **numbers}
    return DynamicsRun(start, arm, seed, returns, **given)


def test_arms_switch_on_their_terms_at_the_strengths_of_the_agents_file():
    filed = load_agent_spec(AGENT).settings("CartPole-v1").regulation
    assert all(getattr(filed, field) > 0 for field in STRENGTHS.values())
    assert regulation_of("off") is None
    assert regulation_of("all") == filed
    for term, field in STRENGTHS.items():
        only = {other: 0.0 for other in STRENGTHS.values() if other != field}
        assert regulation_of(term) == replace(filed, **only)
    for arm in ("lean", "revival"):
        assert regulation_of(f"{arm}-shuffled") == replace(regulation_of(arm), shuffle_seed=0)


@pytest.mark.slow
def test_a_run_begins_at_its_start_and_uses_all_steps(monkeypatch):
    monkeypatch.setattr(module, "EVALUATION_EPISODES", 3)
    weights, make = [], module.make_agent

    def spied(*arguments, **given):
        model = make(*arguments, **given)
        learn, (layer,) = model.learn, model.policy.learned_parts()[0]

        def learn_and_tell(*args, **kwargs):
            weights.append((layer.weight.clone(), layer.bias.clone()))
            assert (model.regulation is None) == (given["regulation"] is None)
            return learn(*args, **kwargs)

        model.learn = learn_and_tell
        return model

    monkeypatch.setattr(module, "make_agent", spied)
    usual, small = run("usual", "off", 1000, steps=400), run("small", "all", 1000, steps=400)
    for one, other in zip(*weights, strict=True):
        assert np.array_equal(one / 4, other)
    assert sum(usual.returns) <= 400
    assert len(usual.evaluation) == 3
    assert 0 < small.silent < 1
    assert small.rate_hz < usual.rate_hz
    # 64 neurons of 8 time steps of 1 ms, two outputs; readouts start at 0, and a weight that stayed
    # there is no synapse
    whole = usual.rate_hz / 1000 * 8 * 64 * 2
    assert 0.99 * whole < usual.synops <= whole * (1 + 1e-6)


def test_thresholds_that_are_too_high_silence_nearly_all_neurons():
    model = module.make_agent(AGENT, "CartPole-v1", 1000)
    (layer,) = model.policy.learned_parts()[0]
    seen = np.random.default_rng(0).normal(0, 0.5, (200, 4)).astype(np.float32)
    before, spikes = layer.weight.clone(), model.policy.record(seen).layers[0].spikes
    STARTS["silent"].damage(model.policy)
    assert np.array_equal(before, layer.weight)
    assert layer.bias.unique().tolist() == pytest.approx([-5 * 1.00392], rel=1e-4)
    assert model.policy.record(seen).layers[0].spikes.mean() < 0.1 * spikes.mean()


def test_stored_runs_are_skipped(tmp_path, monkeypatch):
    asked = []

    def fake(start, arm, seed):
        asked.append((arm, seed))
        return made(start, arm, seed)

    monkeypatch.setattr(module, "run", fake)
    start = replace(STARTS["small"], arms=("off", "all"))
    for seeds in ((700,), (700, 701)):
        monkeypatch.setattr(module, "ALL_STARTS", {"small": replace(start, seeds=seeds)})
        run_missing("small", tmp_path, lambda line: None)
    assert asked == [("off", 700), ("all", 700), ("off", 701), ("all", 701)]
    assert [x.seed for x in read_runs("small", "all", tmp_path)] == [700, 701]
    assert path_of("small", "off", 701, tmp_path).is_file()


def samples():
    """Eight runs of each arm: lean has fewer operations, and scaling fails."""
    seeds = range(700, 708)
    return {
        ("usual", "off"): [made(seed=x, synops=400.0 + x) for x in seeds],
        ("usual", "scaling"): [made(arm="scaling", seed=x, returns=BAD) for x in seeds],
        ("usual", "lean"): [made(arm="lean", seed=x, synops=200.0 + x) for x in seeds],
        ("usual", "lean-shuffled"): [made(seed=x, synops=210.5 + x) for x in seeds],
    }


def test_p_values_are_of_ranks_and_corrected_for_all_of_them():
    found = samples()
    p_values = corrected(found)
    # Three arms beside off, and lean beside its control, in four measures each.
    assert len(p_values) == 16
    alone = rank_sum_p([[[x.synops for x in found["usual", y]] for y in ("lean", "off")]])
    expected = holm_by_name({k: 1.0 if k else alone for k in range(16)})[0]
    assert alone == pytest.approx(2 / 12870)  # of all splits of 16 in two halves
    assert p_values["usual", "lean", "off", "synops"] >= expected
    told = {x[1:]: verdict(x, found, p_values) for x in p_values if verdict(x, found, p_values)}
    assert told["lean", "off", "synops"] == "fewer operations"
    assert told["scaling", "off", "episodes"] == "slower"
    assert ("lean", "off", "return") not in told


def test_the_page_names_the_differences(tmp_path):
    for (start, arm), runs in samples().items():
        for each in runs:
            write_run(path_of(start, arm, each.seed, tmp_path), each)
    page = dynamics_section(tmp_path)
    rows = [line for line in page.splitlines() if line.startswith("| its own | ")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [x[1] for x in cells] == [
        ARMS[arm].says for arm in ("off", "scaling", "lean", "lean-shuffled")
    ]
    assert cells[0][2:] == ["8 of 8", "100.0", "500.0", "500.0", "1104", "390", "50"]
    assert cells[1][2:4] == ["0 of 8", "**–**"]
    assert cells[2][6] == "**904**"
    text = " ".join(page.split())
    assert "| synaptic scaling | none | its own | slower (p" in text
    assert "| need more episodes | synaptic scaling |" in text
    assert "| solve the task in fewer episodes | none |" in text


def test_the_page_lists_insignificant_failures(tmp_path):
    for arm, failed in (("off", 0), ("scaling", 1), ("lean", 0)):
        for seed in range(700, 704):
            returns = BAD if seed - 700 < failed else GOOD
            write_run(path_of("usual", arm, seed, tmp_path), made("usual", arm, seed, returns))
    text = " ".join(dynamics_section(tmp_path).split())
    assert "but not significantly fewer:" in text
    assert "| synaptic scaling | its own | 3 of 4 | 4 of 4 |" in text


def test_other_tasks_have_a_separate_table(tmp_path):
    for arm, synops in (("off", 600.0), ("all", 300.0)):
        for seed in range(700, 708):
            each = made("Acrobot-v1", arm, seed, BAD, evaluation=(-90.0,), synops=synops + seed)
            write_run(path_of("Acrobot-v1", arm, seed, tmp_path), each)
    write_run(path_of("usual", "off", 700, tmp_path), made())
    page = dynamics_section(tmp_path)
    row = next(line for line in page.splitlines() if line.startswith("| Acrobot-v1 | all four"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2:] == ["8", "-90.0", "-90.0", "**1004**", "390", "50"]
    text = " ".join(page.split())
    row = "| Acrobot-v1 | fewer operations (p < 0.001) |"
    assert f"{row} P-values as above, corrected for these 3 tests." in text


def test_no_runs_give_no_section(tmp_path):
    assert dynamics_section(tmp_path) == ""


def test_the_regulation_of_the_file_is_that_of_every_task():
    spec = load_agent_spec(AGENT)
    for task in ("CartPole-v1", "Acrobot-v1", "MountainCar-v0", "Pendulum-v1"):
        assert isinstance(spec.settings(task).regulation, LocalRegulation)
