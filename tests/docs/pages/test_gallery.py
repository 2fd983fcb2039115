"""The galleries show every environment and agent with what files, cards and rows say."""

import re

import pytest
from PIL import Image

from snn_gym.content import checkout_root
from snn_gym.registry import env_ids, load_environment_spec
from snn_gym.scoring import table_rows
from snn_gym.scoring.pretrained import find_trained
from snn_gym.zoo import agent_ids, load_agent_spec
from tests.docs.scripts import load_pages

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


def test_the_best_row_is_that_of_the_highest_mean():
    rows = [row for row in table_rows(ROOT / "leaderboard") if row.environment == "Acrobot-v1"]
    spiking = max((row for row in rows if row.spiking), key=lambda row: row.mean)
    assert f"spiking [{spiking.agent}]" in gallery.best(rows)
    assert gallery.best([]) == "none yet"


def test_every_agent_stands_once_among_its_kind():
    page = PAGES["agents/index.md"]
    parts = re.split(r"^## (.+)$", page, flags=re.M)
    shown = {
        heading: re.findall(r"^\| \[([\w-]+)\]", text, re.M)
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
    }
    assert sorted(name for names in shown.values() for name in names) == sorted(agent_ids())
    ends = ("-mlp", "-relu", "-gru")
    assert set(shown["ANN twins"]) == {x for x in agent_ids() if x.endswith(ends)}
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
        assert f" | {row.synops_per_decision:,.0f} | " in line
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
