"""Tests of CHANGELOG.md and CITATION.cff: form, and announced names."""

import datetime as dt
import re
from importlib import import_module
from typing import Any

import pytest
import typer
import yaml

import snn_gym
from snn_gym._base.folders import checkout_root
from snn_gym.cli import app

ROOT = checkout_root()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
KINDS = ["Changed (breaking)", "Changed", "Added", "Deprecated", "Removed", "Fixed", "Security"]
VERSIONS = re.findall(r"^## \[?([\d.]+)\]?(.*)\n((?:(?!## ).*\n)*)", CHANGELOG, re.MULTILINE)


def sections(text: str) -> dict[str, str]:
    return dict(re.findall(r"^### (.+)\n((?:(?!###? ).*\n?)*)", text, re.MULTILINE))


NEWEST = sections(VERSIONS[0][2])
ADDED = sorted(set(re.findall(r"`([^`]+)`", " ".join(NEWEST["Added"].split()))))
NAMES = [x.split("(")[0] for x in ADDED if re.match(r"snn_gym\.[\w.]+(\(|$)", x)]
COMMANDS = [x for x in ADDED if re.match(r"snn-gym [a-z]", x)]


def test_versions_descend_from_the_current_version() -> None:
    numbers = [version for version, _, _ in VERSIONS]
    released = [version for version, note, _ in VERSIONS if "not released" not in note]
    assert numbers[0] == snn_gym.__version__ or released[0] == snn_gym.__version__
    assert len(numbers) - len(released) <= 1
    assert numbers == sorted(numbers, key=lambda x: [*map(int, x.split("."))], reverse=True)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version[0])
def test_sections_are_ordered_unique_and_have_one_list(version: Any) -> None:
    titles = re.findall(r"^### (.+)", version[2], re.MULTILINE)
    assert titles == [kind for kind in KINDS if kind in titles]
    for title, text in sections(version[2]).items():
        blocks = text.strip("\n").split("\n\n")
        assert len(blocks) == 1, f"{title}: an empty line stands before {blocks[-1][:60]!r}"
        assert all(re.match(r"- \S| {2,}\S", line) for line in blocks[0].splitlines()), title


def test_entries_are_unique() -> None:
    entries = [x for text in NEWEST.values() for x in re.split(r"^- ", text, flags=re.M)[1:]]
    assert len(entries) > 100
    assert len({" ".join(entry.split()) for entry in entries}) == len(entries)


@pytest.mark.parametrize("name", NAMES)
def test_added_names_exist(name: str) -> None:
    parts = name.split(".")
    found, rest = import_module(parts[0]), parts[1:]
    for place, part in enumerate(rest, 2):
        if not hasattr(found, part):
            import_module(".".join(parts[:place]))
        found = getattr(found, part)


@pytest.mark.parametrize("command", COMMANDS)
def test_added_commands_accept_their_options(command: str) -> None:
    program: Any = typer.main.get_command(app)
    taken = program.commands[command.split()[1]].params
    options = {name for parameter in taken for name in parameter.opts}
    assert set(re.findall(r"(?<=[ \[])--[a-z-]+", command)) <= options


def test_the_scan_finds_names_and_commands() -> None:
    assert {"snn_gym.push", "snn_gym.program.Program"} <= set(NAMES)
    assert {"snn-gym pull USER/NAME", "snn-gym train --from"} <= set(COMMANDS)


# Of the schema of version 1.2.0, which https://doi.org/10.5281/zenodo.5171937 describes.
CITATION_KEYS = {
    *("abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi"),
    *("identifiers", "keywords", "license", "license-url", "message", "preferred-citation"),
    *("references", "repository", "repository-artifact", "repository-code", "title", "type"),
    *("url", "version"),
}


def test_the_citation_is_valid_and_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation.keys() <= CITATION_KEYS
    assert {"authors", "cff-version", "message", "title"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] in ("software", "dataset")
    assert citation["version"] == snn_gym.__version__
    assert citation["license"] == "MIT"
    assert "MIT License" in (ROOT / "LICENSE").read_text()
    for author in citation["authors"]:  # an entity has a name, a person parts of one
        assert author.keys() & {"name", "family-names", "given-names", "alias"}
    assert len(set(citation["keywords"])) == len(citation["keywords"]) > 0
    # A date is that of a release.
    unreleased = "not released" in dict(x[:2] for x in VERSIONS)[snn_gym.__version__]
    assert isinstance(citation.get("date-released"), dt.date) is not unreleased
