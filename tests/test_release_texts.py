"""Tests of the form of CHANGELOG.md and CITATION.cff."""

import datetime as dt
import re
from typing import Any

import pytest
import yaml

import snn_gym
from snn_gym._base.folders import checkout_root

ROOT = checkout_root()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
KINDS = ["Changed (breaking)", "Changed", "Added", "Deprecated", "Removed", "Fixed", "Security"]
VERSIONS = re.findall(r"^## \[?([\d.]+)\]?(.*)\n((?:(?!## ).*\n)*)", CHANGELOG, re.MULTILINE)


def sections(text: str) -> dict[str, str]:
    return dict(re.findall(r"^### (.+)\n((?:(?!###? ).*\n?)*)", text, re.MULTILINE))


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
