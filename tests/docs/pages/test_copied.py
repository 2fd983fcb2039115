"""Links of copied pages hold on the site, or are no links any more."""

from tests.docs.scripts import load_pages

copied = load_pages("copied")
PAGES = {"envs/A-v0.md": "environments/A-v0.md", "agents/b/README.md": "agents/b.md"}


def relinked(text, source="envs/A-v0.md"):
    return copied.relinked(text, source, PAGES)


def test_a_link_to_a_page_of_the_site_follows_it():
    assert relinked("see [b](../agents/b/README.md#how) now") == "see [b](../agents/b.md#how) now"


def test_a_picture_is_reached_from_the_new_place():
    assert relinked("![x [y] z](../docs/images/x.png)") == "![x [y] z](../images/x.png)"


def test_what_the_site_does_not_hold_is_named():
    assert relinked("as [that file](A-v0.toml) says") == "as `envs/A-v0.toml` says"


def test_links_within_a_page_and_to_other_hosts_stay():
    text = "[here](#below), [there](https://example.org/a(b)"
    assert relinked(text) == text


def test_a_page_that_stands_in_docs_links_to_copies():
    text = "[a](../envs/A-v0.md) and [other](other.md)"
    assert relinked(text, "docs/study.md") == "[a](environments/A-v0.md) and [other](other.md)"
