"""Tests of comparisons of two agents: significance, wording and incomparable runs."""

import shutil
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from snn_gym import load_pretrained
from snn_gym._base.config import to_mapping
from snn_gym._base.storage import dump_sealed
from snn_gym.leaderboard import evaluate
from snn_gym.leaderboard.comparison import describe_difference, describe_loss, find_sides
from snn_gym.leaderboard.pretrained import find_trained
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.program.costs import COST_COLUMNS, Costs
from snn_gym.training import train
from snn_gym.zoo import load_agent, make_agent, read_manifest, save_agent
from snn_gym.zoo.files import MANIFEST
from tests.leaderboard.helpers import BOARD
from tests.leaderboard.test_comparison import HIGH, LOW
from tests.leaderboard.test_table import fill, make_row

pytestmark = pytest.mark.check

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
        "steps until learned (475.0)": "–",
        "seeds that learned": "–",
        "area": "–",
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
    unproven = one, replace(two, line=replace(two.line, trained_again=0))
    free = one, replace(two, costs=(Costs(),) * 5)
    for sides, reason in (
        (free, "the cost of a seed is 0 or unknown"),
        (unproven, "no second training gave weights of ppo-mlp"),
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


def test_from_three_seeds_on_there_are_means_and_from_five_on_tests(tmp_path):
    one, two = sides_of(tmp_path, HIGH, LOW[:3])
    assert one.cells()["mean return"] == "430.0"
    few = two.cells()
    assert few["return of each seed"] == "310.0, 320.0, 330.0"
    assert few["mean return"] == "320.0"
    assert few["MACs per decision"] == "256.0"
    assert few["SynOps per decision"] == "–"
    assert {few[name] for name in ("95 % interval", "IQM")} == {"–"}
    assert describe_difference(one, two) == [
        "ppo-lif less ppo-mlp: 110.0",
        "too few to test: 5 and 3 seeds, and a test needs 5 of each",
    ]
    one, two = sides_of(tmp_path / "two", HIGH, LOW[:2])
    assert two.cells()["MACs per decision"] == "256.0, 256.0"
    assert two.cells()["mean return"] == "–"


def test_budget_classes_are_reported(tmp_path):
    for seed in range(5):
        fill(tmp_path, make_row("ppo-lif", seed))
        fill(tmp_path, make_row("es", seed, budget_class="evolutionary"))
    one, two = find_sides(("ppo-lif", "es"), ENV, leaderboard=tmp_path)
    assert "budget classes: gradient and evolutionary" in describe_difference(one, two)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Give runs of ppo-lif with seeds 3 and 10, and an unfinished run."""
    folder = tmp_path_factory.mktemp("sides") / "ppo-lif"
    for seed in (10, 3):
        save_agent(make_agent("ppo-lif", ENV, seed=seed), folder / str(seed))
    (folder / "unfinished").mkdir()
    (folder / "unfinished" / "run.json").touch()
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


def saved(folder, seed, agent="ppo-lif", env=ENV, **changes):
    return save_agent(make_agent(agent, env, seed=seed, **changes), folder / str(seed))


@pytest.mark.parametrize(
    ("agent", "changes", "match"),
    [
        ("ppo-lif", {"network": {"hidden_sizes": (4,)}}, r"has network hidden_sizes \[4\]"),
        ("ppo-lif", {"network": {"surrogate_slope": 7.0}}, r"has network surrogate_slope 7\.0"),
        ("ppo-lif", {"gamma": 0.5}, r"has gamma 0\.5 and another run in .* 0\.98"),
        ("ppo-lif", {"env_kwargs": {"sutton_barto_reward": True}}, "has environment_kwargs"),
    ],
)
def test_different_agents_are_no_seeds_of_one(agent, changes, match, tmp_path):
    saved(tmp_path, 0)
    saved(tmp_path, 1, agent, **changes)
    with pytest.raises(ValueError, match=match):
        find_sides(("ppo-mlp", str(tmp_path)), ENV)


def test_models_by_hand_are_compared_by_their_settings(tmp_path):
    def by_hand(seed, kind=PPO, steps=32, wrap=lambda env: env):
        env = wrap(DummyVecEnv([lambda: gym.make("Pendulum-v1")]))
        network = {"hidden_sizes": [4], "time_steps": 2}
        arguments = {"policy_kwargs": {"network": network}, "n_steps": 16, "seed": seed}
        return kind(SpikingActorCriticPolicy, env, **arguments).learn(steps)

    def narrow(env):
        env.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        return env

    save_agent(by_hand(0), tmp_path / "0")
    for model, match in (
        (by_hand(1, A2C), "has algorithm 'A2C' and another run"),
        (by_hand(1, steps=64), "has steps 64 and another run .* 32"),
        (by_hand(1, wrap=VecNormalize), "has vec_normalize VecNormalizeSettings"),
        (by_hand(1, wrap=narrow), "has action_space .*-1.0"),
    ):
        save_agent(model, tmp_path / "1")
        with pytest.raises(ValueError, match=match):
            find_sides(("ppo-mlp", str(tmp_path)), "Pendulum-v1")
    save_agent(by_hand(1), tmp_path / "1")
    save_agent(by_hand(2), tmp_path / "other")
    one, other = find_sides((str(tmp_path / "0"), str(tmp_path)), episodes=1)
    assert (one.line.seeds, other.line.seeds) == ((0,), (0, 1, 2))


@pytest.mark.parametrize(
    ("agent", "env_id"),
    [
        ("ppo-lif-distilled", "CartPole-v1"),
        ("ppo-lif-lean", "CartPole-v1"),  # of other sizes each
    ],
)
def test_seeds_of_one_agent_of_the_table_pass(agent, env_id, tmp_path):
    seeds = [row.seed for row in find_trained(agent, env_id, BOARD).rows[:3]]
    for seed in seeds:
        model = load_pretrained(agent, env_id, seed, leaderboard=BOARD)
        save_agent(model, tmp_path / str(seed))
    for run in (tmp_path / str(seeds[0]), tmp_path):
        with pytest.raises(ValueError, match="is compared with itself"):
            find_sides((str(run), str(run)), env_id)
    side, _ = find_sides((str(tmp_path), str(tmp_path / str(seeds[0]))), episodes=1)
    assert side.line.seeds == tuple(sorted(seeds))


def test_lean_runs_are_compared_by_the_sizes_before_they_shed(tmp_path):
    for seed, pruned in ((0, [3]), (1, [4])):
        folder = saved(tmp_path, seed, network={"hidden_sizes": (8,)})
        mapping = to_mapping(read_manifest(folder))
        arguments = mapping["policy_kwargs"]
        network = arguments.pop("network")
        settings = {
            "algorithm": "PPO", "hyperparameters": mapping["hyperparameters"],
            "policy_kwargs": arguments, "network": network,
        }  # fmt: skip
        recipe = {
            "steps": 99, "checkpoint_interval": None, "versions": {}, "processor": {},
            "settings": settings,
        }  # fmt: skip
        kept = {**arguments, "network": {**network, "hidden_sizes": pruned}}
        changed = {**mapping, "recipe": recipe, "policy_kwargs": kept}
        (folder / MANIFEST).write_bytes(dump_sealed(changed))
    with pytest.raises(ValueError, match="weights"):  # past the comparison of settings
        find_sides((str(tmp_path), str(tmp_path / "0")), episodes=1)


def test_agents_inside_of_a_run_are_no_runs(tmp_path):
    for agent, more in (("ppo-lif", 256), ("ppo-mlp", 256)):
        settings = {"steps": more, "eval_every": 128, "hyperparameters": {"n_envs": 1}}
        train(agent, ENV, out=tmp_path / agent / "0", **settings)
    killed = tmp_path / "ppo-mlp" / "1"
    shutil.copytree(tmp_path / "ppo-mlp" / "0", killed)
    (killed / MANIFEST).unlink()
    assert (killed / "best" / MANIFEST).exists()
    folders = [str(tmp_path / agent) for agent in ("ppo-lif", "ppo-mlp")]
    with pytest.warns(UserWarning, match="left out: .*1 holds no finished run"):
        one, other = find_sides(folders, episodes=1)
    assert (one.line.seeds, other.line.seeds) == ((0,), (0,))


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
