"""Pages of exported agents are those of their committed numbers; a page is written from them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import typer
from typer.testing import CliRunner

from snn_gym._base.config import Config
from studies.deployed import __main__ as deployed
from studies.deployed import faults, hardware
from studies.deployed.page import Page
from studies.rows import RowName, moved_rows

PAGES = [x.PAGE for x in (deployed, faults, hardware)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_committed_page_is_that_of_the_committed_numbers(page):
    assert page.path.read_text(encoding="utf-8") == page.text()


@dataclass(frozen=True)
class Counted(Config):
    """Numbers."""

    numbers: tuple[int, ...]
    """From 0 on."""


def count(done):
    """Add two numbers, one at a time."""
    numbers = () if done is None else done.numbers
    for _ in range(2):
        numbers = (*numbers, len(numbers))
        yield Counted(numbers)


def test_measurements_continue_from_stored_results(tmp_path):
    page = Page(
        "page",
        Counted,
        count,
        lambda found: f"{found.numbers}\n",
        lambda found: [RowName("ppo-lif", "CartPole-v1", seed) for seed in found.numbers],
        lambda found, rows: Counted(found.numbers[: -len(rows)]),
        docs=tmp_path,
        runs=tmp_path,
    )
    app = typer.Typer()
    app.command()(page.write)
    said = [CliRunner().invoke(app, words).output for words in ([], ["--report-only"], [])]
    assert said == [f"wrote {tmp_path / 'page.md'}\n"] * 3
    assert len(page.sources.read_text().splitlines()) == 4
    assert moved_rows(page.sources) == []
    assert page.results.read_text() == '{"numbers":[0,1,2,3]}\n'
    assert page.path.read_text() == "(0, 1, 2, 3)\n"
    # Two rows have changed since: their numbers are measured again.
    first, second, *others = page.sources.read_text().splitlines(keepends=True)
    page.sources.write_text("".join(["0" + first[1:], "0" + second[1:], *others]))
    CliRunner().invoke(app, [])
    assert page.results.read_text() == '{"numbers":[0,1,2,3]}\n'
    assert moved_rows(page.sources) == []
