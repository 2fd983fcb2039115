"""Tests of the galleries of environments and agents."""

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
copied = load_pages("copied")
ROOT = checkout_root()
IMAGES = ROOT / "docs" / "images"
PAGES = gallery.gallery_pages(ROOT, copied.copied_pages(ROOT))
AGENTS = PAGES["agents/index.md"]
TASKS = {
    page: text
    for page, text in PAGES.items()
    if page.startswith("environments/") and not page.endswith("index.md")
}


@pytest.fixture(scope="module")
def rows():
    return table_rows(ROOT / "leaderboard")


def test_every_environments_page_has_its_ids_and_scores():
    assert len(TASKS) == len(list((ROOT / "envs").glob("*.md")))
    for env_id in env_ids():
        spec = load_environment_spec(env_id)
        page, reference = TASKS[f"environments/{spec.name}.md"], spec.reference
        assert f"`{env_id}`" in page
        assert f"random play {gallery.number(reference.random)}" in page
        if reference.memoryless is not None:
            assert f"memoryless {gallery.number(reference.memoryless)}" in page


@pytest.mark.parametrize("page", TASKS.values(), ids=TASKS)
def test_a_tasks_page_begins_with_pictures_and_all_facts(page):
    head = page.split("\n## ")[0]
    for fact in ("Ids", "Action", "Observation[^|]*", "Reward", "Best row"):
        assert re.search(rf"^\| {fact} \| \S.+ \|$", head, re.M), fact
    pictures = re.findall(r"^!\[[^\]]+\]\(\.\./images/(\S+)\)$", head, re.M)
    assert pictures
    assert all((IMAGES / picture).is_file() for picture in pictures)


def line(agent, means, derived=False, **changes):
    """Make a line of the table that costs 1,000 operations a decision by default."""
    rows = [make_row(agent, seed, returns=(mean, mean)) for seed, mean in enumerate(means)]
    usual = {"short": False, "synops_per_decision": 1000.0, "macs_per_decision": 0.0}
    usual["neuron_updates_per_decision"] = None
    return replace(summaries(rows)[0], derived=derived, **usual | changes)


def test_the_best_row_ranks_and_has_the_highest_mean():
    good = line("ppo-lif", [400.0] * 5)
    one_seed, lean = line("dqsn", [500.0]), line("dqsn", [500.0] * 5, derived=True)
    short = line("dqsn", [500.0] * 5, short=True)
    shown = "spiking [ppo-lif](../agents/ppo-lif.md) 400.0 (5 seeds)"
    for other in (one_seed, lean, short, line("dqsn", [300.0] * 5)):
        assert gallery.best([other, good]) == gallery.best([good, other]) == shown
    assert gallery.best([lean]) == gallery.best([]) == "none yet"
    assert gallery.best([one_seed]) == "spiking [dqsn](../agents/dqsn.md) 500.0 (1 seed)"
    assert gallery.best([short]).endswith("(5 seeds, less than half of the budget)")


def test_fewest_verified_operations_break_ties():
    dear, cheap = line("ppo-lif", [400.01] * 5), line("dqsn", [400.0] * 5, synops_per_decision=9.0)
    unknown = line("ppo-lif", [400.0] * 5, synops_per_decision=None, macs_per_decision=None)
    unproven = replace(dear, synops_per_decision=3.8, trained_again=0)
    for lines in ([dear, cheap], [cheap, dear], [unknown, cheap], [unproven, cheap]):
        assert gallery.best(lines).startswith("spiking [dqsn]")


def test_agents_are_listed_once_by_group():
    parts = re.split(r"^## (.+)$", AGENTS, flags=re.M)
    shown = {
        heading: set(re.findall(r"^\| \[([\w-]+)\]", text, re.M))
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
    }
    names = re.findall(r"^\| \[([\w-]+)\]", AGENTS, re.M)
    assert sorted(names) == sorted(agent_ids())
    flags = {x: load_agent_spec(x).policy_kwargs for x in names}
    anns = {x for x in names if False in [flags[x].get(y) for y in ("spiking_actor", "spiking")]}
    assert shown["ANNs"] == anns | {x for x in names if x.startswith("sb3-")}
    assert re.search(r"^\| \[ppo-linear\]\(ppo-linear.md\) \|.* \| linear \|", AGENTS, re.M)
    classes = {x: load_agent_spec(x).budget_class for x in names}
    local = {x for x in names if classes[x] in ("local", "evolutionary")}
    assert shown["Spiking, trained without gradients"] == local
    assert "Spiking, trained elsewhere" not in shown
    assert "imported" not in classes.values()


def test_the_grid_leads_to_every_card():
    assert re.findall(r"^:link: (\S+)$", PAGES["environments/index.md"], re.M) == [
        spec.name
        for group in gallery.GROUPS
        for spec in gallery.all_tasks(ROOT)
        if gallery.group(spec) == group
    ]


@pytest.mark.parametrize("film", gallery.FILMS, ids=lambda film: film.file)
def test_films_are_small_animated_and_shown_with_their_command(film, rows):
    assert (IMAGES / film.file).stat().st_size <= 1_000_000
    with Image.open(IMAGES / film.file) as opened:
        assert opened.n_frames >= 20
        first = opened.convert("RGB").tobytes()
        opened.seek(opened.n_frames // 2)
        assert opened.convert("RGB").tobytes() != first
    assert find_trained(film.agent, film.environment).rows
    assert film.extra == load_environment_spec(film.environment).extra
    task = TASKS[f"environments/{load_environment_spec(f'snn/{film.task}').name}.md"]
    for text in (AGENTS, task, gallery.agent_part(load_agent_spec(film.agent), rows)):
        assert f"](../images/{film.file})" in text
        assert f"`{film.command}`" in text
