"""Test of the page of the command line."""

from importlib.metadata import entry_points

import typer
from typer.cli import get_docs_for_click

from snn_gym.cli import app
from tests.docs.scripts import DOCS


def test_the_page_is_up_to_date():
    program = typer.main.get_command(app)
    for found in entry_points(group="snn_gym.commands"):  # of other distributions
        program.commands.pop(found.name, None)
    context = typer.Context(program)
    text = get_docs_for_click(obj=program, ctx=context, name="snn-gym", title="The command line")
    shown = (DOCS / "guide" / "commands.md").read_text(encoding="utf-8")
    assert shown == f"{text.strip()}\n", "run: make pages"
