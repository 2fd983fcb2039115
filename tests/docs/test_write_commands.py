"""Tests of the page of the command line: every command and option is listed."""

import inspect
import re

import pytest

from snn_gym.cli import app
from tests.docs.scripts import load_script

write_commands = load_script("write_commands")
PAGE = write_commands.page()
SECTIONS = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
COMMANDS = {command.callback.__name__: command.callback for command in app.registered_commands}


def test_the_page_is_up_to_date_with_a_section_for_each_command():
    assert write_commands.TARGET.read_text() == PAGE, "run: python docs/write_commands.py"
    assert set(SECTIONS) == set(re.findall(r"\]\(#(\w+)\)", PAGE)) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_command_parameters_have_one_line_each(name):
    wanted = inspect.signature(COMMANDS[name]).parameters
    lines = re.findall(r"^\| `(\S+).*?` \| (.+) \|$", SECTIONS[name], re.M)
    assert len(lines) == len(wanted)
    assert all(purpose[0].isupper() for _, purpose in lines)
    # An option may have another name than its parameter, such as --set.
    shown = {parameter.strip("-,").replace("-", "_") for parameter, _ in lines}
    assert set(wanted) - shown <= {"hyperparameters", "changes", "format_", "formats", "source"}


def test_bars_and_brackets_are_escaped_in_the_tables():
    assert "`--seeding <disjoint\\|consecutive>`" in SECTIONS["train"]
    assert "\\[default: runs/AGENT/ENV/SEED]" in SECTIONS["train"]
