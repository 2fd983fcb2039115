"""Tests of pages about memory: tasks that need none, and levels without results."""

import functools
import re

import pytest

from snn_gym._base.folders import checkout_root
from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard import table_rows
from tests.envs.variants import NATIVE, NATIVE_BASES

ROOT = checkout_root()
AGENTS = sorted(path.parent.name for path in (ROOT / "agents").glob("recurrent-*/README.md"))
PAGES = [*(f"agents/{agent}/README.md" for agent in AGENTS), "docs/guide/environments.md"]
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SENTENCE = re.compile(
    r"On (\w+) of the (\w+) native tasks with rows \((.+?)\) "
    r"a policy without memory earns at least as much as `(\S+)`\. "
    r"The table has no row on the medium and hard levels of native tasks\."
)
# Where it leads none.
AHEAD = re.compile(
    r"On all native tasks with rows of its own \((.+?)\) `(\S+)` earns more than a policy without "
    r"memory\. The table has no row on the medium and hard levels of native tasks\."
)


@functools.cache
def rows():
    """Return the rows of native tasks."""
    return [row for row in table_rows(ROOT / "leaderboard") if row.environment in NATIVE]


def led(agent):
    """Return an agent's native tasks, and those whose memoryless score at least equals it."""
    means = {row.environment: row.mean for row in rows() if row.agent == agent}
    own = [load_environment_spec(env_id) for env_id in NATIVE_BASES if env_id in means]
    assert own
    return own, sorted(
        spec.name.partition("-")[0]
        for spec in own
        if spec.reference.memoryless >= means[spec.base_id]
    )


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_the_tasks_that_a_policy_without_memory_leads(page):
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    if ahead := AHEAD.findall(text):
        ((tasks, agent),) = ahead
        own, behind = led(agent)
        assert SENTENCE.findall(text) == behind == []
        assert tasks.split(", ") == sorted(spec.name.partition("-")[0] for spec in own)
    else:
        ((count, of, tasks, agent),) = SENTENCE.findall(text)
        own, behind = led(agent)
        assert tasks.split(", ") == behind
        assert (count, of) == (NUMBERS[len(behind)], NUMBERS[len(own)])
    has_rows = any(row.agent == page.split("/")[1] for row in rows())
    if page.startswith("agents/"):
        assert (agent == page.split("/")[1]) == has_rows
        assert ("This agent has no rows on native tasks yet." in text) == (not has_rows)


def test_no_row_of_a_medium_or_hard_level_exists():
    assert [x for x in rows() if x.environment.endswith(("-medium-v0", "-hard-v0"))] == []
