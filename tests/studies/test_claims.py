"""Tables of the findings are those of today's rows, counted by hand."""

import dataclasses
import json
import re

import pytest

from studies.claims import PAGES, ROOT, family, operations, read_evidence, scripts, written

# Sentences and tables with a number that a reader may quote.
_WHOLE = re.compile(r"<!-- generated: ([\w-]+) -->\n(.*?)<!-- end -->", re.DOTALL)


@pytest.fixture(scope="module")
def evidence():
    return read_evidence()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_up_to_date(page, evidence):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert _WHOLE.findall(text)
    assert written(text, evidence) == text, "run: python -m studies.claims"


def _total(agent, env_id):
    """Return mean operations over seeds, from the files of the rows alone."""
    lines = (ROOT / "leaderboard" / "results" / f"{env_id}.jsonl").read_text().splitlines()
    names = [f"{x}_per_decision" for x in ("synops", "macs", "neuron_updates")]
    rows = [x for x in map(json.loads, lines) if x["agent"] == agent]
    costs = [row["costs"].get(name, {}) for row in rows for name in names]
    return sum(sum(x.values()) for x in costs) / len(rows)


@pytest.mark.parametrize("agent", ["ppo-lif", "ppo-lif-dynamics", "ppo-lif-2-steps", "ppo-mlp"])
def test_operations_are_synops_macs_and_neuron_updates(agent, evidence):
    found = operations(evidence[agent, "CartPole-v1"])
    assert found == pytest.approx(_total(agent, "CartPole-v1"))


def test_families_are_adjusted_for_all_of_their_tests(evidence):
    tests = family(evidence, ("recurrent-ppo-lsnn", "recurrent-ppo-gru"))
    assert len(tests) >= 8
    least = min(tests, key=lambda x: x.difference_p)
    # 2 of the 252 splits of ten seeds in halves are as extreme.
    assert least.difference_p == pytest.approx(2 / 252)
    assert least.difference_holm == pytest.approx(len(tests) * 2 / 252)


def test_scripts_without_memory_are_counted_from_the_cards(evidence):
    led = []
    for (agent, environment), row in evidence.items():
        if agent == "recurrent-ppo-lsnn":
            assert row.card is not None
            card = (ROOT / "envs" / f"{row.card}.md").read_text(encoding="utf-8")
            found = dict(re.findall(r"^\| (Score|memoryless) \| (.*) \|$", card, re.MULTILINE))
            level = re.search("-(medium|hard|silent)-", environment)
            place = found["Score"].split(" | ").index(level[1]) if level else 0
            script = found.get("memoryless", "–").split(" | ")[place:][:1]
            if script != ["–"] and float(script[0]) > row.mean:
                led.append(environment)
    shown = [line.split(" | ")[0][2:] for line in scripts(evidence).splitlines()[2:]]
    assert shown == sorted(led)


def test_a_finding_says_where_the_adjustment_alone_denies_it(evidence):
    (pair, *_) = family(evidence, ("ppo-lif", "ppo-mlp"))
    told = [
        dataclasses.replace(
            pair, difference_p=p, inferiority_p=q, difference_holm=1.0, inferiority_holm=h
        ).verdict
        for p, q, h in ((0.5, 0.03, 0.09), (0.01, 0.5, 1.0), (0.5, 0.5, 1.0), (0.5, 0.001, 0.01))
    ]
    after = "not significant after Holm's adjustment"
    assert told == [after, after, "not significant", "not inferior"]
