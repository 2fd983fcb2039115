"""The galleries show every environment and agent with what files, cards and rows say."""

import re
from dataclasses import replace

import pytest
from PIL import Image

from snn_gym._base.folders import checkout_root
from snn_gym.envs.registry import env_ids, load_environment_spec
from snn_gym.leaderboard import table_rows
from snn_gym.leaderboard.pretrained import find_trained
from snn_gym.leaderboard.table import summaries
from snn_gym.zoo import agent_ids, load_agent_spec
from tests.docs.scripts import load_pages
from tests.leaderboard.test_table import make_row

gallery = load_pages("gallery")
films = load_pages("films")
ROOT = checkout_root()
IMAGES = ROOT / "docs" / "images"
PAGES = gallery.gallery_pages(ROOT)
ENTRIES = dict(
    re.findall(
        r"^### \[[^\]]+\]\((\S+)\.md\)\n(.*?)(?=^##|^```)",
        PAGES["environments/index.md"],
        re.M | re.S,
    )
)


def test_every_environment_has_an_entry_with_its_ids_and_scores():
    assert len(ENTRIES) == len(list((ROOT / "envs").glob("*.md")))
    for env_id in env_ids():
        spec = load_environment_spec(env_id)
        entry = ENTRIES[spec.name]
        assert f"`{env_id}`" in entry
        assert f"random play {gallery.number(spec.reference.random)}" in entry
        if spec.reference.memoryless is not None:
            assert f"memoryless {gallery.number(spec.reference.memoryless)}" in entry


@pytest.mark.parametrize("fact", ["Ids", "Action", "Observation", "Reward", "Best row"])
def test_no_fact_of_an_environment_is_empty(fact):
    for name, entry in ENTRIES.items():
        assert re.search(rf"^\| {fact} \| \S.+ \|$", entry, re.M), name


def line(agent, means, derived=False, **changes):
    """Make a line of the table that cost 1,000 operations a decision, if nothing is said."""
    rows = [make_row(agent, seed, returns=(mean, mean)) for seed, mean in enumerate(means)]
    (made,) = summaries(rows)
    usual = {"short": False, "synops_per_decision": 1000.0, "macs_per_decision": 0.0}
    usual["neuron_updates_per_decision"] = None
    return replace(made, derived=derived, **usual | changes)


def test_the_best_row_is_that_of_the_highest_mean_among_those_that_rank():
    good = line("ppo-lif", [400.0] * 5)
    lucky, lean = line("dqsn", [500.0]), line("dqsn", [500.0] * 5, derived=True)
    short = line("dqsn", [500.0] * 5, short=True)
    shown = "spiking [ppo-lif](../agents/ppo-lif.md) 400.0 (5 seeds)"
    for other in (lucky, lean, short, line("dqsn", [300.0] * 5)):
        assert gallery.best([other, good]) == gallery.best([good, other]) == shown
    assert gallery.best([lean]) == gallery.best([]) == "none yet"
    assert gallery.best([lucky]) == "spiking [dqsn](../agents/dqsn.md) 500.0 (1 seed)"
    assert gallery.best([short]).endswith("(5 seeds, less than half of the budget)")


def test_of_equal_lines_that_of_the_fewest_operations_is_best():
    dear, cheap = line("ppo-lif", [400.01] * 5), line("dqsn", [400.0] * 5, synops_per_decision=9.0)
    unknown = line("ppo-lif", [400.0] * 5, synops_per_decision=None, macs_per_decision=None)
    unproven = replace(dear, synops_per_decision=3.8, trained_again=0)
    for rows in ([dear, cheap], [cheap, dear], [unknown, cheap], [unproven, cheap]):
        assert gallery.best(rows).startswith("spiking [dqsn]")


def test_large_and_negative_means_have_no_exponent():
    low, high = line("ppo-lif", [-8021.0] * 5), line("ppo-mlp", [1e6] * 5)
    assert gallery.best([low, high]) == (
        "spiking [ppo-lif](../agents/ppo-lif.md) −8021.0 (5 seeds), "
        "ANN [ppo-mlp](../agents/ppo-mlp.md) 1000000.0 (5 seeds)"
    )


def test_what_was_made_lean_has_an_origin_for_a_twin():
    rows = table_rows(ROOT / "leaderboard")
    twin = {name: gallery.twin_in_words(load_agent_spec(name), rows) for name in agent_ids()}
    assert twin["ppo-lif"] == "[ppo-mlp](ppo-mlp.md)"
    assert twin["ppo-lif-16"] == "– (made from [ppo-lif](ppo-lif.md))"
    assert twin["ppo-lif-distilled"] == "– (made from [ppo-mlp](ppo-mlp.md))"
    assert twin["cma-es"] == "–"
    lean = load_agent_spec("ppo-lif-16")
    assert gallery.twin_in_words(lean, ()) == "[ppo-mlp](ppo-mlp.md)"


def test_every_agent_stands_once_among_its_kind():
    page = PAGES["agents/index.md"]
    parts = re.split(r"^## (.+)$", page, flags=re.M)
    shown = {
        heading: re.findall(r"^\| \[([\w-]+)\]", text, re.M)
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
    }
    assert sorted(name for names in shown.values() for name in names) == sorted(agent_ids())
    ends = ("-mlp", "-relu", "-gru")
    anns = {x for x in agent_ids() if x.endswith(ends) or x.startswith("sb3-")}
    assert set(shown["ANNs"]) == anns
    classes = {x: load_agent_spec(x).budget_class for x in agent_ids()}
    without = {x for x, of in classes.items() if of in ("local", "evolutionary")}
    assert set(shown["Spiking, trained without gradients"]) == without
    imported = {x for x, of in classes.items() if of == "imported"}
    assert set(shown["Spiking, trained elsewhere"]) == imported


def test_an_agents_part_lists_its_rows_with_their_costs():
    rows = table_rows(ROOT / "leaderboard")
    part = gallery.agent_part(load_agent_spec("ppo-lif"), rows)
    own = [row for row in rows if row.agent == "ppo-lif"]
    assert len(own) > 3
    for row in own:
        start = f"| {row.environment} | {len(row.seeds)} | "
        (line,) = [line for line in part.splitlines() if line.startswith(start)]
        shown = row.operations_per_decision, row.synops_per_decision, row.macs_per_decision
        assert line.endswith(" | " + " | ".join(row.cost(x, decimals=0) for x in shown) + " |")
    assert "No row" in gallery.agent_part(load_agent_spec("ppo-lif"), ())
    assert "snn-gym train ppo-lif " in part


@pytest.mark.parametrize("name", ENTRIES)
def test_every_environment_is_seen(name):
    pictures = re.findall(r"^!\[[^\]]+\]\(\.\./images/(\S+)\)$", ENTRIES[name], re.M)
    assert pictures
    assert all((IMAGES / picture).is_file() for picture in pictures)


@pytest.mark.parametrize("film", films.FILMS, ids=lambda film: film.file)
def test_a_film_is_small_moves_and_shows_an_agent_of_the_table(film):
    assert (IMAGES / film.file).stat().st_size <= 1_000_000
    with Image.open(IMAGES / film.file) as opened:
        assert opened.n_frames >= 20
        first = opened.convert("RGB").tobytes()
        opened.seek(opened.n_frames // 2)
        assert opened.convert("RGB").tobytes() != first
    assert find_trained(film.agent, film.environment).rows
    assert film.extra == load_environment_spec(film.environment).extra


def test_films_stand_with_their_commands_where_agent_and_environment_do():
    assert len(films.FILMS) >= 5
    rows = table_rows(ROOT / "leaderboard")
    for film in films.FILMS:
        command = f"`snn-gym watch {film.agent} {film.environment} --save film.gif`"
        entry = ENTRIES[load_environment_spec(f"snn/{film.task}").name]
        part = gallery.agent_part(load_agent_spec(film.agent), rows)
        for text in (PAGES["agents/index.md"], entry, part):
            assert f"](../images/{film.file})" in text
            assert command in text
