"""Tests of the site folder: written files, and no links to other hosts."""

import gzip
import json
import re

import pytest

from snn_gym.cli import main
from snn_gym.leaderboard import write_site
from tests.docs.addresses import foreign_addresses, missing_targets, read_pages
from tests.leaderboard.helpers import BOARD
from tests.leaderboard.test_table import fill, make_row

MEGABYTE = 2**20


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return write_site(BOARD, tmp_path_factory.mktemp("site")).parent


@pytest.fixture
def board(tmp_path):
    return fill(tmp_path / "board", make_row(), make_row("ppo-mlp", environment="Acrobot-v1"))


def test_links_have_targets_within_the_site(site):
    pages = read_pages(site)
    assert len(pages) > 10
    assert missing_targets(pages) == []
    assert foreign_addresses(pages) == set()
    for name in ("style.css", "script.js"):
        assert re.findall(r"https?:|@import|url\(", (site / name).read_text()) == []


def test_rows_are_stored_as_compressed_json(site):
    stored = BOARD / "results"
    rows = {
        path.relative_to(stored): json.loads(path.read_text()) for path in stored.rglob("*.json")
    }
    shown = {
        path.relative_to(site / "rows").with_suffix("").with_suffix("") / f"{row['seed']}.json": row
        for path in site.rglob("*.json.gz")
        for row in json.loads(gzip.decompress(path.read_bytes()))
    }
    assert shown == rows


def test_the_site_is_small(site):
    sizes = {path: path.stat().st_size for path in site.rglob("*") if path.is_file()}
    assert sum(sizes.values()) <= 20 * MEGABYTE
    first = sum(sizes[site / name] for name in ("index.html", "style.css", "script.js"))
    assert first <= 600 * 1024


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_rewriting_a_site_removes_outdated_pages(board, tmp_path):
    folder = tmp_path / "new" / "site"
    assert write_site(board, folder) == folder / "index.html"
    first = contents(folder)
    assert "environments/Acrobot-v1.html" in first
    (folder / "CNAME").write_text("of the host")
    (folder / "other.html").write_text("<p>of mine")
    write_site(fill(tmp_path / "less", make_row()), folder)
    less = contents(folder)
    assert "environments/Acrobot-v1.html" not in less
    assert {"environments/CartPole-v1.html", "CNAME", "other.html"} <= set(less)
    write_site(board, folder)
    assert {name: text for name, text in contents(folder).items() if name in first} == first


def test_foreign_folders_are_not_overwritten(board, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "index.html").write_text("<!DOCTYPE html>\n<p>mine")
    with pytest.raises(ValueError, match="is not empty and holds no site that `snn-gym table`"):
        write_site(board, other)
    assert [path.name for path in other.iterdir()] == ["index.html"]
    with pytest.raises(ValueError, match="is a file; expected a folder"):
        write_site(board, other / "index.html")
    with pytest.raises(ValueError, match="expected a leaderboard"):
        write_site(tmp_path / "nowhere", tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_command_prints_the_site_address(board, tmp_path, capsys):
    folder = tmp_path / "site"
    assert main(["table", "--leaderboard", str(board), "--site", str(folder)]) == 0
    table = (board / "README.md").read_text()
    assert capsys.readouterr().out == f"{table}\nsite: {folder / 'index.html'}\n"
    (folder / "index.html").unlink()
    assert main(["table", "--leaderboard", str(board), "--site", str(folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "holds no site that" in line
