"""Tests of comparisons of two agents: significance, wording and incomparable runs."""

from dataclasses import replace

import pytest

from snn_gym._base.checksums import dump_sealed
from snn_gym._base.config import to_mapping
from snn_gym.leaderboard import evaluate
from snn_gym.leaderboard.comparison import describe_difference, describe_loss, find_sides
from snn_gym.leaderboard.table import Pricing
from snn_gym.program.costs import COST_COLUMNS
from snn_gym.zoo import load_agent, make_agent, read_manifest, save_agent
from snn_gym.zoo.files import MANIFEST
from tests.leaderboard.test_comparison import HIGH, LOW
from tests.leaderboard.test_table import fill, make_row

ENV = "CartPole-v1"


def sides_of(board, one, two):
    for name, means in (("ppo-lif", one), ("ppo-mlp", two)):
        fill(board, *(make_row(name, seed, returns=(x, x)) for seed, x in enumerate(means)))
    return find_sides(("ppo-lif", "ppo-mlp"), ENV, leaderboard=board)


def test_rows_by_hand(tmp_path):
    one, two = sides_of(tmp_path, HIGH, LOW)
    assert one.cells() == {
        "seeds": "0-4",
        "episodes of a seed": "2",
        "mean return": "430.0",
        "95 % interval": "410.4 to 449.6",  # t(0.975, 4) = 2.776 times 15.81 / sqrt(5)
        "IQM": "430.0",
        "solved": "0 of 5",
        "return of each seed": "410.0 to 450.0",
        "Operations per decision": "1,034.0",
        "SynOps per decision": "650.0",
        "MACs per decision": "256.0",
        "Neuron updates per decision": "128.0",
        "parameters": "4,610",
        "training steps": "100,000",
    }
    # The standard error of the difference is 10, t(0.975, 8) = 2.306, t(0.95, 8) = 1.8595.
    assert describe_difference(one, two) == [
        "ppo-lif less ppo-mlp: 100.0, 95 % interval 76.9 to 123.1",
        "probability of improvement 1.00, p 0.008: better",
        "lower one-sided 95 % bound of the difference 81.4 (-22.7); in brackets the margin, "
        "an accepted loss",
        "ppo-lif keeps the return? yes",
        # 1,034 operations of every seed, and 384 of every seed.
        "ppo-lif costs less (Operations, ratio with 95 % interval)? costs more: 2.69 (2.69 to "
        "2.69)",
    ]


def test_a_comparison_answers_two_questions(tmp_path):
    one, two = sides_of(tmp_path, HIGH, LOW)
    kept, less = describe_difference(two, one)[-2:]
    assert kept == "ppo-mlp keeps the return? not shown"
    assert less.endswith("? costs less: 0.371 (0.371 to 0.371)")
    unmeasured = [replace(x, pricing=Pricing("cortex-m4")) for x in (one, two)]
    unproven = one, replace(two, line=replace(two.line, trained_again=0))
    for sides, reason in (
        (unmeasured, "the cost of a seed is 0 or unknown"),
        (unproven, "costs in brackets do not rank: no seed of that line was trained again"),
    ):
        assert describe_difference(*sides)[-1].endswith(f"? cannot be told, because {reason}")


def test_only_with_its_teacher_is_a_lean_agent_paired(tmp_path):
    one, two = sides_of(tmp_path, HIGH, LOW)
    parents = tuple(x - 1.0 for x in HIGH)
    line = replace(one.line, origin="teacher", origin_means=parents, derived=True)
    student = replace(one, line=line)
    # As without parents: the mean of the first less that of the second.
    assert describe_difference(student, two)[0].startswith("ppo-lif less ppo-mlp: 100.0, 95 %")
    teacher = replace(two, line=replace(two.line, agent="teacher"))
    said = describe_difference(student, teacher)
    assert said[0] == "ppo-lif less teacher: 1.0, 95 % interval 1.0 to 1.0"


def test_few_seeds_are_listed_and_not_summarised(tmp_path):
    one, two = sides_of(tmp_path, HIGH, LOW[:4])
    assert one.cells()["mean return"] == "430.0"
    few = two.cells()
    assert few["return of each seed"] == "310.0, 320.0, 330.0, 340.0"
    assert few["MACs per decision"] == "256.0, 256.0, 256.0, 256.0"
    assert few["SynOps per decision"] == "–"
    assert {few[name] for name in ("mean return", "95 % interval", "IQM")} == {"–"}
    (line,) = describe_difference(one, two)
    assert line == "fewer than 5 seeds are listed and not summarised or compared"


def test_spikes_without_an_output_are_reported(tmp_path):
    unheard = {"synapses": {"hidden_1": 640.0, "hidden_2": 0.0}}
    board = fill(tmp_path, make_row("ppo-lif", **unheard), make_row("ppo-mlp"))
    sides = find_sides(("ppo-lif", "ppo-mlp"), ENV, leaderboard=board)
    said = "spikes of ppo-lif reach no output: in a ranking it is not a spiking agent"
    assert describe_difference(*sides)[1:] == [said]


def test_budget_classes_and_shared_streams_are_reported(tmp_path):
    for seed in range(5):
        fill(tmp_path, make_row("ppo-lif", seed))
        fill(tmp_path, make_row("es", seed, budget_class="evolutionary"))
    one, two = find_sides(("ppo-lif", "es"), ENV, leaderboard=tmp_path)
    # As of runs: rows that shared streams do not rank.
    shared = replace(one, line=replace(one.line, shared_streams=True))
    lines = describe_difference(shared, two)
    assert "budget classes: gradient and evolutionary" in lines
    assert lines[-1].startswith("† Environment k of a run had the run's seed plus k")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Give runs of ppo-lif with seeds 3 and 10, and an unfinished run."""
    folder = tmp_path_factory.mktemp("sides") / "ppo-lif"
    for seed in (10, 3):
        save_agent(make_agent("ppo-lif", ENV, seed=seed), folder / str(seed))
    (folder / "unfinished").mkdir()
    return folder


def test_runs_are_evaluated(runs, tmp_path):
    board = fill(tmp_path, make_row("ppo-mlp"))
    with pytest.warns(UserWarning, match="left out: .*unfinished holds no finished run"):
        one, rows = find_sides((str(runs), "ppo-mlp"), ENV, episodes=3, leaderboard=board)
    results = [evaluate(load_agent(runs / str(seed)), ENV, episodes=3) for seed in (3, 10)]
    assert one.line.seeds == (3, 10)
    assert one.runs == (runs / "3", runs / "10")
    assert one.line.seed_means == tuple(result.mean for result in results)
    for name in COST_COLUMNS:
        totals = [result.total(name) for result in results]
        assert [costs.total(name) for costs in one.costs] == totals
        assert getattr(one.line, name) == pytest.approx(sum(x or 0 for x in totals) / 2)
    assert one.name == str(runs)
    assert (one.line.spiking, rows.line.spiking) == (True, False)
    assert (one.episodes, rows.episodes) == (3, 2)
    # Weights and biases of 4-64-64-2.
    assert one.line.parameters == (4 * 64 + 64) + (64 * 64 + 64) + (64 * 2 + 2)
    assert one.line.steps == tuple(load_agent(x).num_timesteps for x in one.runs)
    assert one.line.short


def test_single_runs_can_be_compared(runs):
    one, two = find_sides((str(runs / "3"), str(runs / "10")), ENV, episodes=1)
    assert (one.line.seeds, two.line.seeds) == ((3,), (10,))


def test_agent_names_take_precedence_over_folders(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(runs.parent)
    one, _ = find_sides(("ppo-lif", "ppo-mlp"), ENV)
    assert one.runs == ()
    with pytest.warns(UserWarning, match="left out"):
        one, _ = find_sides(("./ppo-lif", "ppo-mlp"), ENV, episodes=1)
    assert len(one.runs) == 2


def test_runs_that_do_not_compare_are_refused(runs, tmp_path):
    model = make_agent("ppo-mlp", ENV, seed=3)
    for where in ("mixed/a", "same/a", "same/b"):
        save_agent(model, tmp_path / where)
    save_agent(make_agent("ppo-lif", ENV, seed=4), tmp_path / "mixed" / "b")
    (tmp_path / "empty").mkdir()
    for what, env_id, match in (
        (runs / "3", "Acrobot-v1", "was trained on CartPole-v1, not on Acrobot-v1"),
        (tmp_path / "mixed", ENV, "has agent 'ppo-lif' and another run in .* 'ppo-mlp'"),
        (tmp_path / "same", ENV, r"have the same seed, of \[3, 3\]"),
        (tmp_path / "empty", ENV, "holds no finished run"),
        (tmp_path / "none", ENV, "is no folder"),
    ):
        with pytest.raises(ValueError, match=match):
            find_sides(("ppo-lif", str(what)), env_id)


def test_another_version_of_the_task_does_not_compare(tmp_path):
    fill(tmp_path, make_row("ppo-lif"), make_row("ppo-mlp", environment_version=2))
    with pytest.raises(ValueError, match="version of CartPole-v1 1 and 2"):
        find_sides(("ppo-lif", "ppo-mlp"), ENV, leaderboard=tmp_path)


def with_arguments(folder, seed, **arguments):
    save_agent(make_agent("ppo-mlp", ENV, seed=seed), folder)
    mapping = {**to_mapping(read_manifest(folder)), "environment_kwargs": arguments}
    (folder / MANIFEST).write_bytes(dump_sealed(mapping))
    return str(folder)


def test_only_runs_with_equal_task_arguments_compare(tmp_path):
    one, two = (
        with_arguments(tmp_path / str(seed), seed, sutton_barto_reward=True) for seed in (3, 4)
    )
    with pytest.raises(ValueError, match=r"arguments of CartPole-v1 \{\} and \{'sutton_barto_r"):
        find_sides(("ppo-lif", one), ENV, episodes=1)
    for side in find_sides((one, two), ENV, episodes=2):
        assert side.line.seed_means == (-1.0,)  # where the pole falls, and 0 before
        assert side.line.reference is None


def test_a_loss_has_a_margin_in_registered_environments_alone():
    played = evaluate(make_agent("ppo-mlp", ENV, seed=0), ENV, episodes=3)
    words = "difference of mean returns 0, at least 0 (one-sided 95%, 3 paired episodes)"
    assert describe_loss(played, played).startswith(f"{words}: not inferior (margin 2")
    assert describe_loss(played, played, {"sutton_barto_reward": True}) == words
