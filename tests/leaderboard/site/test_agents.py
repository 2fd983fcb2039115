"""Tests of agent pages: costs, rows, and commands."""

import shlex
from dataclasses import replace

import pytest
import typer

from snn_gym.cli import app
from snn_gym.leaderboard.site.files import Training, agent, trainings
from snn_gym.leaderboard.site.layout import Documentation, Film, Site
from snn_gym.leaderboard.table import summaries
from snn_gym.zoo.recipe import Parent, Recipe
from tests.leaderboard.site.parsed import Parsed
from tests.leaderboard.test_table import make_row

SITE = Site(frozenset({"ppo-lif", "ppo-mlp"}))
RECIPE = Recipe(
    steps=100_000, checkpoint_interval=5_000, versions={"torch": "2.13.0"}, processor={}
)
AGAIN = {
    "same": "weights",
    "versions": {"torch": "2.13.0"},
    "processor": {},
    "date": "2026-01-03T00:00:00Z",
}


@pytest.fixture
def sources():
    return (
        make_row(seed=0, recipe=RECIPE, returns=(400.0, 500.0), trained_again=AGAIN),
        make_row(
            seed=3, recipe=replace(RECIPE, processor={"machine": "x86_64"}), trained_again=None
        ),
        make_row(seed=1, recipe=RECIPE, environment="Acrobot-v1", seeding="consecutive"),
        make_row("ppo-mlp", seed=0, recipe=RECIPE),
    )


@pytest.fixture
def page(sources):
    table = summaries(sources)
    own = [row for row in table if row.agent == "ppo-lif"]
    return Parsed(agent(SITE, own, table, sources))


def test_results_by_hand(page):
    results = [dict(zip(page.tables[0][0], line, strict=True)) for line in page.tables[0][1:]]
    assert [line["Environment"] for line in results] == ["Acrobot-v1", "CartPole-v1"]
    pole = results[1]
    # Seeds 0 and 3 have means 450 and 451.5, and 15 and 18 spikes; the costs are of seed 0 alone.
    assert (pole["Seeds"], pole["Mean"], pole["Spikes"]) == ("2", "450.8", "15.0")
    assert (pole["SynOps"], pole["Operations"]) == ("650.0", "1,034.0")
    assert pole["Trained again"] == "1 of 2"
    assert "../agents/ppo-mlp.html" in {x["href"] for x in page.attributes("a")}


def test_films_of_the_documentation_are_shown_to_their_agent(sources):
    film = Film("_images/a.gif", "<it> lands", "snn-gym watch")
    table = summaries(sources)
    for name, films in (("ppo-lif", ["../../_images/a.gif"]), ("ppo-mlp", [])):
        own = [row for row in table if row.agent == name]
        site = Site(SITE.agents, Documentation("../", {"ppo-lif": [film]}))
        read = Parsed(agent(site, own, table, sources))
        assert [x["src"] for x in read.attributes("img")] == films
        assert f"../../agents/{name}.html" in {x["href"] for x in read.attributes("a")}
        assert ("<it> lands; snn-gym watch" in "".join(read.said)) == bool(films)


def test_rows_are_listed_with_their_files(page):
    _, _, pole = page.tables
    assert [line[:5] for line in pole[1:]] == [
        ["0", "450", "100,000", "2026-01-02", "same weights, 2026-01-03"],
        ["3", "451.5", "100,000", "2026-01-02", "–"],
    ]
    files = [x["href"] for x in page.attributes("a") if "download" in x]
    assert files == [
        "../rows/ppo-lif/Acrobot-v1.json.gz",
        "../rows/ppo-lif/CartPole-v1.json.gz",
    ]


def test_rows_that_differ_only_in_seed_share_one_loop(page, sources):
    said = "".join(page.said)
    assert said.count("for seed in") == 2
    assert "for seed in 0 3; do\n  snn-gym train ppo-lif CartPole-v1 --seed $seed" in said
    found = trainings([sources[0], replace(sources[1], seeding="consecutive")], sources)
    assert [training.seeds for training in found] == [(0,), (3,)]


def taken(line):
    words = shlex.split(line.replace("$seed", "7"))
    assert words[0] == "snn-gym"
    command = typer.main.get_command(app).commands[words[1]]
    return command.make_context(words[1], words[2:]).params


def test_the_command_line_accepts_the_shown_commands(sources):
    (training,) = trainings(sources[2:3], sources)
    _, train, submit, verify, _ = training.commands().splitlines()
    found = taken(train)
    expected = {
        "agent": "ppo-lif",
        "env": "Acrobot-v1",
        "seed": 7,
        "steps": 100_000,
        "checkpoint_interval": 5_000,
        "seeding": "consecutive",
    }
    assert {name: found[name] for name in expected} == expected
    assert found["out"] == taken(submit)["run"]
    assert taken(submit)["out"] == taken(verify)["folder"]


def test_lean_rows_are_recreated_after_their_teachers(sources):
    teachers = [make_row(seed=seed, recipe=RECIPE, weights_sha256=WEIGHTS[seed]) for seed in (0, 3)]
    students = [
        make_row(
            "ppo-lif-8",
            seed=row.seed,
            recipe=taught_by(row.weights_sha256),
            weights_sha256=f"{row.seed + 1}" * 64,
        )
        for row in teachers
    ]
    (training,) = trainings(students, [*teachers, *students])
    said = (
        "Made lean from the row of `ppo-lif` with the same seed, within 20,000 environment steps."
    )
    assert training.in_words() == said
    loop, train, submit, verify, lean, _, again, _ = training.commands().splitlines()
    assert loop == "for seed in 0 3; do"
    assert taken(train)["agent"] == "ppo-lif"
    assert taken(train)["out"] == taken(submit)["run"] == taken(lean)["run"]
    assert (taken(lean)["student"], taken(lean)["steps"]) == ("ppo-lif-8", 20_000)
    assert (taken(verify)["retrain"], taken(again)["retrain"]) == (False, True)
    # Of teachers that are not there, or have another seed, no command is known.
    (first, second) = trainings(students, [replace(teachers[0], seed=1), *students])
    assert first.commands() is None
    assert WEIGHTS[0] in first.in_words()
    assert WEIGHTS[3] in second.in_words()


WEIGHTS = {0: "0" * 64, 3: "3" * 64}


def taught_by(weights_sha256):
    return replace(
        RECIPE, steps=20_000, parent=Parent(weights_sha256=weights_sha256, steps=100_352)
    )


def made(**changes):
    fields = {
        "agent": "ppo-lif",
        "environment": "CartPole-v1",
        "recipe": RECIPE,
        "seeding": "disjoint",
        "seeds": (0,),
    }
    return Training(**(fields | changes))


def test_names_are_quoted_for_the_shell():
    train = made(agent="a; rm -rf $HOME").commands().splitlines()[1]
    assert shlex.split(train)[2] == "a; rm -rf $HOME"
    assert "$HOME" not in train.partition("--out")[2]


def test_uninterrupted_training_is_shown_in_python():
    line = made(recipe=replace(RECIPE, checkpoint_interval=None)).commands().splitlines()[1]
    words = shlex.split(line.replace("$seed", "7"))
    assert words[3:] == ["ppo-lif", "CartPole-v1", "7", "runs/ppo-lif/CartPole-v1/7"]
    compile(words[2], "shown", "exec")
    assert "model.learn(100000)" in words[2]


def test_trainings_without_a_command_have_a_note():
    assert made(recipe=None).commands() is None
    assert "Trained elsewhere" in made(recipe=None).in_words()
    lean = made(recipe=replace(RECIPE, parent=Parent(weights_sha256="a" * 64, steps=5)))
    assert lean.commands() is None
    assert "a" * 64 in lean.in_words()
    assert "torch 2.13.0" in made().in_words()


def test_loading_command_is_valid_python():
    assert made(seeds=(4, 5)).loading() == (
        "snn_gym.load_pretrained('ppo-lif', 'CartPole-v1', pick=4)"
    )
