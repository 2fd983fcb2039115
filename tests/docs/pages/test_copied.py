"""Tests of links in copied pages."""

import pytest

from tests.docs.scripts import load_pages

copied = load_pages("copied")
PAGES = {"envs/A-v0.md": "environments/A-v0.md", "agents/b/README.md": "agents/b.md"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see [b](../agents/b/README.md#how) now", "see [b](../agents/b.md#how) now"),
        ("![x [y] z](../docs/images/x.png)", "![x [y] z](../images/x.png)"),
        ("as [that file](A-v0.toml) says", "as `envs/A-v0.toml` says"),
        *[("[here](#below), [there](https://example.org/a(b)",) * 2],
    ],
    ids=["page", "picture", "file", "unchanged"],
)
def test_a_link_of_a_copied_page(text, shown):
    assert copied.relinked(text, "envs/A-v0.md", PAGES) == shown


def test_a_page_of_docs_links_to_copies():
    text = "[a](../envs/A-v0.md) and [other](other.md)"
    shown = "[a](environments/A-v0.md) and [other](other.md)"
    assert copied.relinked(text, "docs/study.md", PAGES) == shown
