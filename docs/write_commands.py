"""Write the page of the command line, docs/guide/commands.md, from the commands themselves.

    python docs/write_commands.py

A test says when the page is not up to date.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer
from pages.markdown import table

from snn_gym.cli import app

TARGET = Path(__file__).resolve().parent / "guide" / "commands.md"
HEAD = """# The command line

This page lists every command of `snn-gym` with its arguments and options; `snn-gym COMMAND --help`
prints the same. Words in braces are required, words in brackets are optional. [Agents](agents.md),
[environments](environments.md), [few spikes](lean.md) and [scores](scores.md) show the commands at
work. `snn-gym --version` prints the version. `snn-gym --install-completion` lets the tab key
complete commands, agents, environments and folders of runs.

| exit code | meaning |
| --- | --- |
| 0 | the command did its work |
| 2 | an argument or a file was wrong; one line on standard error names the fix |
| 130 | the command was interrupted |
"""
_LEFT_OUT = "--help"


def cell(text: str) -> str:
    """Return a text as a cell of a table may hold it."""
    return " ".join(text.split()).replace("|", "\\|")


def described(words: str) -> str:
    """Return what a parameter is for, with the help's brackets as text, which open no link."""
    return cell(re.sub(r"\[default: \((.*?)\)", r"[default: \1", words)).replace("[", "\\[")


def parameters(command: Any, context: typer.Context) -> list[tuple[str, str]]:
    """Return name and purpose of each parameter of a command, but for ``--help``."""
    records = (parameter.get_help_record(context) for parameter in command.get_params(context))
    shown = [record for record in records if record is not None and record[0] != _LEFT_OUT]
    return [(f"`{cell(name)}`", described(purpose)) for name, purpose in shown]


def section(name: str, command: Any, context: typer.Context) -> str:
    """Return what the page says of a command."""
    usage = " ".join(["snn-gym", name, *command.collect_usage_pieces(context)])
    lines = [f"## {name}", "", command.help, "", f"```text\n{usage}\n```", ""]
    found = parameters(command, context)
    return "\n".join([*lines, table(("Parameter", "What it is"), found), ""] if found else lines)


def page() -> str:
    """Return the whole page."""
    program: Any = typer.main.get_command(app)
    above = typer.Context(program, info_name="snn-gym")
    names = ", ".join(f"[{name}](#{name})" for name in program.commands)
    sections = [
        section(name, command, typer.Context(command, info_name=name, parent=above))
        for name, command in program.commands.items()
    ]
    return "\n".join([HEAD, f"Commands: {names}.\n", *sections])


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
