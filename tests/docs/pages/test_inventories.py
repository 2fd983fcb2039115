"""Tests of Sphinx inventories for links to other projects."""

import tomllib

from sphinx.util.inventory import InventoryFile

from tests.docs.scripts import DOCS, load_pages

inventories = load_pages("inventories")


def test_sphinx_reads_every_name_with_its_address(tmp_path):
    mapping = inventories.inventories(DOCS / "inventories.toml", tmp_path)
    written = tomllib.loads((DOCS / "inventories.toml").read_text())
    assert set(mapping) == set(written) >= {"python", "numpy", "torch", "gymnasium"}
    for project, (address, path) in mapping.items():
        assert address.startswith("https://")
        assert address.endswith("/")
        with open(path, "rb") as file:
            read = InventoryFile.load(file, address, lambda base, part: base + part)
        for name, (role, place) in written[project]["names"].items():
            assert read[f"py:{role}"][name].uri == f"{address}{place}", name
