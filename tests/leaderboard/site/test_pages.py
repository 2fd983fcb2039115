"""Tests of the pages of the site, against rows and the Markdown table."""

import re
from dataclasses import replace

import pytest

from snn_gym.leaderboard import COLUMNS, render_table, table_rows
from snn_gym.leaderboard.comparison import COMPARISON_COLUMNS
from snn_gym.leaderboard.rendering import all_columns, notes
from snn_gym.leaderboard.results import list_rows
from snn_gym.leaderboard.site import environments, files
from snn_gym.leaderboard.site.environments import environment, overview, ranking
from snn_gym.leaderboard.site.files import site_pages
from snn_gym.leaderboard.site.layout import Documentation, Site, environment_page, file_stem
from snn_gym.leaderboard.site.marks import SITE_COSTS, texts
from tests.leaderboard.helpers import BOARD
from tests.leaderboard.site.parsed import Parsed
from tests.leaderboard.test_table import fill, make_row

SITE = Site(frozenset({"ppo-lif"}))


@pytest.fixture
def rows(tmp_path):
    board = fill(
        tmp_path,
        make_row("ppo-lif", seed=0, returns=(475.0, 475.0)),
        make_row("ppo-lif", seed=1, returns=(21.65, 21.65)),
        make_row("ppo-mlp", seed=0, returns=(475.0, 475.0)),
        make_row("ppo-lif", seed=0, environment="Acrobot-v1", returns=(-100.0, -100.0)),
        make_row("imported-x", seed=0, budget_class="imported", returns=(475.0, 475.0)),
    )
    return table_rows(board)


def test_the_overview_by_hand(rows):
    read = Parsed(overview(SITE, rows))
    gradient, imported = read.tables
    assert ["open" in x for x in read.attributes("details")][:2] == [True, False]
    # Half of ppo-lif's seeds are random play, half solve: 0.5. Its spikes cause 650 SynOps, its
    # encoder makes 256 MACs, and 128 neurons are updated; the twin has no SynOps. On Acrobot -100
    # solves.
    assert gradient == [
        ["Agent", "Kind", "Acrobot-v1", "CartPole-v1"],
        ["ppo-lif", "spiking", "1.00 1,034; 1 seed", "0.50 1,034; 2 seeds"],
        ["ppo-mlp", "ANN", "–", "1.00 384; 1 seed"],
    ]
    assert imported == [
        ["Agent", "Kind", "CartPole-v1"],
        ["imported-x", "ANN", "1.00 (384); 1 seed"],
    ]
    links = [x["href"] for x in read.attributes("a") if "#" in x.get("href", "")]
    assert links.count("environments/CartPole-v1.html#gradient-1") == 3  # also of the panel
    assert links.count("environments/CartPole-v1.html#imported-1") == 1
    assert len([x for x in read.attributes("section") if x["class"] == "panel"]) == 2
    sorts = [x.get("data-value") for x in read.attributes("td")]
    assert float(sorts[2]) == pytest.approx(0.5)


def test_pages_show_only_defined_columns(rows):
    hidden = [replace(row, hidden_means=(1.0,)) for row in rows]
    native = replace(rows[0], reference=replace(rows[0].reference, oracle=500.0))
    defined = all_columns([*hidden, native]) | SITE_COSTS
    assert set(environments.SHOWN) | set(files.SHOWN) <= set(defined)
    assert set(COLUMNS) - {*environments.SHOWN, *files.SHOWN, "Agent", "Twin"} == {
        "Mean of each seed"
    }


def test_operations_are_the_sum_of_known_costs(rows):
    lif = next(row for row in rows if row.spiking)
    assert lif.operations_per_decision == 1034.0
    some = replace(lif, macs_per_decision=None)
    assert some.operations_per_decision == 778.0
    few = replace(some, synops_per_decision=None)
    assert few.operations_per_decision == 128.0
    assert replace(few, neuron_updates_per_decision=None).operations_per_decision is None


def test_uncounted_costs_are_marked(rows):
    lif = replace(next(row for row in rows if row.spiking), uncounted=("NatureCNN",))
    lif = replace(
        lif, synops_per_decision=None, macs_per_decision=None, neuron_updates_per_decision=None
    )
    shown = texts(lif, [lif])
    names = ("Operations", "SynOps", "MACs", "Energy (nJ)")
    assert {shown[name] for name in names} == {"not counted"}
    assert Parsed(overview(SITE, [lif])).tables[0][1][-1].endswith(" not counted; 1 seed")


def test_spikes_without_an_output_have_the_kind_unheard(rows):
    lif = replace(next(row for row in rows if row.spiking), spiking=False, unheard=True)
    assert texts(lif, [lif])["Kind"] == "unheard"


def test_regime_uses_both_rates(rows):
    lif = replace(next(row for row in rows if row.spiking), spikes_per_synapse=0.2)
    shown = [texts(replace(lif, firing_rate=rate), [lif])["Regime"] for rate in (0.05, 0.06, None)]
    assert shown == ["between, inside", "between, outside", "–"]
    assert texts(replace(lif, spikes_per_synapse=None), [lif])["Regime"] == "–"


def test_an_environment_page_by_hand(rows):
    read = Parsed(environment(SITE, [row for row in rows if row.environment == "CartPole-v1"], ()))
    seeds, gradient, pairs, _, imported = read.tables
    assert [line[0] for line in seeds] == ["Agent", "ppo-mlp", "ppo-lif"]  # the best first
    shown = [dict(zip(gradient[0], line, strict=True)) for line in gradient[1:]]
    assert [line["Agent"] for line in shown] == ["ppo-lif", "ppo-mlp"]
    lif = shown[0]
    assert (lif["Seeds"], lif["Mean"], lif["Solved"]) == ("2", "248.3", "1 of 2")
    assert (lif["SynOps"], lif["MACs"], lif["Operations"]) == ("650.0", "256.0", "1,034.0")
    # (650 * 0.9 + 256 * 0.23 + 128 * 52) / 1000 and (650 * 23.6 + 256 * 4.6 + 128 * 81) / 1000
    assert lif["Energy (nJ)"] == "7.30 to 26.89"
    assert shown[1]["Energy (nJ)"] == "0.06 to 1.18"  # the twin's units are no neurons
    assert lif["95 % interval"] == "–"
    assert pairs[0] == list(COMPARISON_COLUMNS)
    assert [line[0] for line in imported[1:]] == ["imported-x"]
    dots = [x for x in read.attributes("circle") if "class" not in x]  # of seeds
    assert len(dots) == 4
    assert {"gradient-1", "imported-1"} <= {x.get("id") for x in read.attributes("h2")}


def test_names_lead_to_the_agents_that_have_a_page(rows):
    addresses = {x.get("href", "") for x in Parsed(overview(SITE, rows)).attributes("a")}
    assert {x for x in addresses if x.startswith("agents/")} == {"agents/ppo-lif.html"}


def test_pages_link_to_the_documentation(rows):
    cartpole = [row for row in rows if row.environment == "CartPole-v1"]
    beside = environment(Site(frozenset(), Documentation("../")), cartpole, ())
    addresses = {x.get("href", "") for x in Parsed(beside).attributes("a")}
    assert {"../../environments/CartPole-v1.html", "../../index.html"} <= addresses
    assert "../../" not in environment(Site(frozenset()), cartpole, ())


def test_script_in_a_name_is_escaped(rows):
    hostile = '<script>alert("x")</script>'
    changed = [replace(row, agent=hostile, twin=hostile, environment=hostile) for row in rows]
    pages = site_pages(changed, ())
    assert len([name for name in pages if name.endswith(".html")]) == 3
    for name, text in pages.items():
        if name.endswith(".html"):
            read = Parsed(text)
            (script,) = read.attributes("script")
            assert script["src"].endswith("script.js")
            assert hostile in "".join(read.said)
            assert not any(key.startswith("on") for _, x in read.elements for key in x)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("snn/CartPole-v1", "snn__CartPole-v1"),
        ("ppo-lif", "ppo-lif"),
        ("../x", "..__x"),
        ("<a>", "=3Ca=3E"),
    ],
)
def test_names_become_files_of_the_folder(name, file):
    assert file_stem(name) == file


def test_an_empty_leaderboard_has_a_page():
    assert "There are no results yet." in "".join(Parsed(overview(SITE, ())).said)


def test_rows_of_removed_tasks_have_no_score_axis(tmp_path):
    (row,) = table_rows(fill(tmp_path, make_row(environment="snn/Gone-v0")))
    assert "not comparable" in "".join(Parsed(overview(SITE, [row])).said)
    assert "reference" not in environment(SITE, [row], ()).partition("<details>")[0]


def markdown_tables(text):
    """Return each table under a heading as rows of texts, by environment."""
    found = {}
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        name = part.split(",")[0]
        for block in re.findall(r"(?:^\|.*\n)+", part, flags=re.M):
            lines = [re.split(r" \| ", line.strip("| ")) for line in block.splitlines()]
            found.setdefault(name, []).append([lines[0], *lines[2:]])
    return found


def test_numbers_equal_the_markdown_table():
    written = markdown_tables(render_table(BOARD))
    (faults,) = next(tables for name, tables in written.items() if name.startswith("With faults"))
    texts = site_pages(table_rows(BOARD), list_rows(BOARD))
    environments = [name for name in written if environment_page(name) in texts]
    assert len(environments) > 10
    for name in environments:
        shown = Parsed(texts[environment_page(name)]).tables
        with_faults = [table for table in shown if "4 bits" in table[0]]
        # The tables of seeds come before those of all columns, in another order of rows.
        whole = [x for x in shown if x not in with_faults and not x[0][1].startswith("Return")]
        mains, pairs = ([x for x in whole if (x[0][1] == "Kind") == k] for k in (True, False))
        of_classes = [x for x in written[name] if x[0][1] == "Seeds"]
        compared = [x for x in written[name] if x[0][1] != "Seeds"]
        assert_same_cells(sorted(mains), sorted(of_classes), at_least=7)
        assert_same_cells(sorted(pairs), sorted(compared), at_least=7)
        mine = [line for line in faults[1:] if line[0] == name]
        assert sum(len(table) - 1 for table in with_faults) == len(mine)
        for table in with_faults:
            its = [mine.pop(0) for _ in table[1:]]
            assert_same_cells([table], [[faults[0], *its]], at_least=8)


def assert_same_cells(shown, written, at_least):
    """Check that tables have equal cells in their common columns, and enough of these."""
    for own, theirs in zip(shown, written, strict=True):
        common = [column for column in own[0] if column in theirs[0]]
        assert len(common) >= min(at_least, len(theirs[0]))
        for line, other in zip(own[1:], theirs[1:], strict=True):
            mine = dict(zip(own[0], line, strict=True))
            table = dict(zip(theirs[0], other, strict=True))
            assert {x: mine[x] for x in common} == {x: table[x] for x in common}


@pytest.fixture
def ranked(tmp_path):
    """Give lines of five seeds: a best agent, an equal one that costs less, a worse one."""
    scores = {"ppo-lif": 475.0, "ppo-mlp": 475.0, "dqsn": 100.0}
    made = [
        make_row(agent, seed, returns=(x + 0.5 * seed, x))
        for agent, x in scores.items()
        for seed in range(5)
    ]
    return table_rows(fill(tmp_path, *made))


def test_a_ranking_begins_with_cheap_agents_that_are_not_inferior(ranked):
    site = Site(frozenset(row.agent for row in ranked))
    read = Parsed(ranking(site, ranked, up=""))
    names = [x["href"] for x in read.attributes("a")]
    assert names == [f"agents/{x}.html" for x in ("ppo-mlp", "ppo-lif", "dqsn")]
    said = "".join(read.said)
    assert said.count("not inferior to the best") == 2
    entries = read.attributes("li")
    assert [x.get("class") for x in entries] == [None, "spiking", "spiking lower"]
    orders = [dict(x.split(":") for x in entry["style"].split(";")) for entry in entries]
    assert [x["--operations-order"] for x in orders] == ["0", "1", "2"]
    # 384 MACs at 3.7 + 0.9 + 4 * 1.25 pJ are 3,686; 650 SynOps at 5.9 and 256 MACs at 9.6 are more.
    assert [x["--cmos45-order"] for x in orders] == ["0", "1", "2"]


def entries_of(rows):
    """Return the names and badges of a ranking's entries, in their order."""
    read = Parsed(ranking(Site(frozenset(row.agent for row in rows)), rows, up=""))
    return [x["href"].removeprefix("agents/").removesuffix(".html") for x in read.attributes("a")]


def test_lines_that_do_not_rank_stand_last(ranked):
    unproven = replace(ranked[1], trained_again=0, agent="sb3-ppo", seed_means=(500.0,) * 5)
    few = replace(ranked[1], agent="ppo-relu", seeds=(0,), seed_means=(499.0,))
    names = entries_of([unproven, few, *ranked])
    assert names == ["ppo-mlp", "ppo-lif", "dqsn", "sb3-ppo", "ppo-relu"]


@pytest.mark.parametrize("mark", ["derived", "short"])
def test_no_note_denies_a_rank_that_the_ranking_gives(mark, ranked):
    rows = [replace(row, **{mark: row.agent == "ppo-mlp"}) for row in ranked]
    assert entries_of(rows)[0] == "ppo-mlp"
    assert len(notes(rows)) == 1
    assert "not rank" not in notes(rows)[0]


def test_a_ranking_without_references_has_the_order_of_the_table(tmp_path):
    rows = table_rows(fill(tmp_path, make_row(environment="snn/Gone-v0")))
    (entry,) = Parsed(ranking(SITE, rows, up="")).attributes("li")
    assert "style" not in entry
