"""Tests of what the report says about the front, on outcomes made by hand."""

import pytest

from studies.lean.figure_front import write_figure
from studies.lean.front import EVENTS, FRONT_TASKS, Configuration, front_seeds
from studies.lean.front_points import front_points, planned_points, verdict
from studies.lean.outcome import Outcome, write_outcome
from studies.lean.report_front import front_section
from tests.studies.lean.made import cells_of, made_outcome, report_text

_TASK = FRONT_TASKS["CartPole-v1"]
_SEEDS = _TASK.seed_range()[:3]
_Outcomes = dict[tuple[str, str], dict[int, Outcome]]


def _found(arms, seeds=_SEEDS, **changes):
    """Return outcomes of CartPole by arm, each with a return and operations."""
    return {
        ("CartPole-v1", arm): {
            seed: made_outcome(
                arm,
                seed,
                mean,
                synops={"hidden_1": operations},
                macs=0.0,
                neuron_updates=0.0,
                **changes,
            )
            for seed in seeds
        }
        for arm, (mean, operations) in arms.items()
    }


# The margin of CartPole is 22.7.
_ARMS = {
    "off": (500.0, 9000.0),
    "lean": (500.0, 1400.0),
    "front-16-16-T4-off": (490.0, 400.0),
    "front-16-16-T4-lean": (480.0, 180.0),
    "front-8-8-T2-off": (470.0, 80.0),
    "front-8-8-T2-lean": (30.0, 50.0),
    "twin": (500.0, 4608.0),
}


def _verdict(found):
    judged = verdict(front_points(found, _TASK), _TASK)
    assert judged is not None
    return judged


def test_the_cheapest_with_the_return_of_the_best_are_compared():
    judged = _verdict(_found(_ARMS))
    assert judged.best == 500.0
    assert judged.least == pytest.approx(500.0 - 0.05 * (475.0 - 21.65))
    assert judged.off is not None
    assert judged.lean is not None
    # 8-8-T2 is cheaper, but 470 is below 477.3.
    assert (judged.off.configuration, judged.lean.configuration) == ("16-16-T4", "16-16-T4")
    assert judged.ratio == pytest.approx(180.0 / 400.0)
    assert judged.beats_anns


@pytest.mark.parametrize(
    ("mean", "operations", "beaten"),
    [(480.0, 179.0, True), (480.0, 180.0, True), (480.0, 181.0, False), (470.0, 20.0, False)],
)
def test_an_ann_with_that_return_and_as_few_operations_is_as_good(mean, operations, beaten):
    arms = {**_ARMS, "front-4-4-relu": (mean, operations)}
    assert _verdict(_found(arms)).beats_anns is not beaten


def test_a_seed_that_failed_counts_and_a_missing_one_leaves_its_point_out():
    found = _found(_ARMS)
    cheap = ("CartPole-v1", "front-16-16-T4-lean")
    seed = _SEEDS[1]
    found[cheap][seed] = made_outcome(cheap[1], seed, 100.0)
    judged = _verdict(found)
    assert judged.lean is not None
    assert judged.lean.configuration == "64-64-T8"
    found = _found(_ARMS)
    del found[cheap][seed]
    judged = _verdict(found)
    assert judged.lean is not None
    assert judged.lean.configuration == "64-64-T8"


def test_anns_of_the_events_keep_the_seeds_from_which_shedding_learned():
    events, ann, spiking = FRONT_TASKS[EVENTS], Configuration(16), Configuration(16, 4)
    assert front_seeds(_TASK, spiking) == front_seeds(_TASK, ann) == _SEEDS
    assert not set(front_seeds(events, spiking)) & set(front_seeds(events, ann))
    assert len(front_seeds(events, ann)) == 3


def test_seeds_that_the_front_has_not_are_left_out():
    found = _found(_ARMS)
    found["CartPole-v1", "off"][_SEEDS.stop] = made_outcome("off", 0, -1e9)
    assert _verdict(found).best == 500.0
    assert all(point.is_whole for point in front_points(found, _TASK))


def test_arms_of_the_study_alone_are_no_front(tmp_path):
    found = _found({arm: _ARMS[arm] for arm in ("off", "lean", "twin")})
    assert front_points(found, _TASK) == []
    text = front_section(found)
    assert "No network of it has run yet." in text
    assert "![" not in text
    assert write_figure(found, tmp_path / "images") == []
    assert not (tmp_path / "images").exists()


def test_a_front_without_lean_has_no_verdict():
    arms = {arm: value for arm, value in _ARMS.items() if "lean" not in arm}
    found = _found(arms)
    assert verdict(front_points(found, _TASK), _TASK) is None
    assert cells_of(front_section(found).split("###")[0], "CartPole-v1")["lean / off"] == "–"


def test_the_section_names_ratio_points_and_zeros():
    found = _found(_ARMS) | _found({"front-4-4-relu": (480.0, 60.0)}, zero_share=0.25)
    summary, points = front_section(found).split("### CartPole-v1")
    cells = cells_of(summary, "CartPole-v1")
    assert planned_points(_TASK) == 2 * 12 + 10
    assert cells["points"] == "8 of 34"
    assert cells["best (at least)"] == "500.0 (477.3)"
    assert cells["cheapest off"] == "16-16-T4: 400"
    assert cells["cheapest lean"] == "16-16-T4: 180"
    assert cells["lean / off"] == "0.45"
    assert cells["cheapest ANN"] == "4-4, ReLU: 60"
    assert cells["cheapest rival known (pilot)"] == "linear: 8"
    assert "**No network of this front is the cheapest known.**" in summary
    assert cells["no ANN of these as cheap"] == "–"
    assert "cheapest off network on 1 of 1 tasks, and at most a quarter on 0." in summary
    assert "On 0 of 0 tasks no ANN of the front" in summary
    cells = cells_of(points, "4-4-relu")
    assert (cells["zeros"], cells["with that return"]) == ("25 %", "yes")
    assert cells_of(points, "8-8-T2")["return"] == "30.0 (30.0 to 30.0)"


@pytest.mark.parametrize(("operations", "said", "count"), [(60.0, "**no**", 0), (181.0, "yes", 1)])
def test_the_ann_verdict_needs_all_anns(operations, said, count):
    anns = {
        f"front-{width}-{width}-{units}": (480.0, operations)
        for width in (64, 32, 16, 8, 4)
        for units in ("tanh", "relu")
    }
    del anns["front-64-64-tanh"]  # which is the twin
    summary = front_section(_found(_ARMS | anns)).split("###")[0]
    assert cells_of(summary, "CartPole-v1")["no ANN of these as cheap"] == said
    assert f"On {count} of 1 tasks no ANN of the front" in summary


def test_the_report_draws_what_it_shows(tmp_path):
    for by_seed in _found(_ARMS).values():
        for outcome in by_seed.values():
            write_outcome(tmp_path / "r", outcome)
    text = report_text(tmp_path / "r", tmp_path)
    assert "![Return against operations](images/lean-front.png)" in text
    drawn = (tmp_path / "images" / "lean-front.svg").read_text(encoding="utf-8")
    for word in ("CartPole-v1", "operations of a decision", "lean", "off", "ANN, tanh", "(pilot)"):
        assert word in drawn
    assert "Acrobot-v1" not in drawn
    assert "ANN, ReLU" not in drawn
    assert (tmp_path / "images" / "lean-front.png").exists()
