"""What all pages have in common: head, the way back, and where each page lies."""

from __future__ import annotations

from urllib.parse import quote

from snn_gym.scoring.site.elements import Markup, element, joined

STYLE_NAME = "style.css"
"""The style sheet, beside index.html."""
SCRIPT_NAME = "script.js"
"""The script, beside index.html."""
INDEX_NAME = "index.html"
"""The first page."""
BEGINNING = '<!DOCTYPE html>\n<html lang="en"><head><meta name="generator" content="snn-gym table">'
"""How every page begins, which tells pages of a site from files of others."""


def file_name(name: str) -> str:
    """Return the name of a page's file, one that every file system and address can have.

    Args:
        name: Of an agent or an environment; the slash of an id becomes two underscores.
    """
    return quote(name.replace("/", "__"), safe="").replace("%", "=") + ".html"


def environment_page(environment: str) -> str:
    """Return where an environment's page lies, from the site's folder."""
    return f"environments/{file_name(environment)}"


def anchor(version: int, budget_class: str) -> str:
    """Return the anchor of the rows of a version and budget class on an environment's page."""
    return f"{budget_class}-{version}"


def page(title: str, body: Markup, *, up: str = "") -> str:
    """Return a whole page.

    Args:
        title: Its heading.
        body: What stands below.
        up: From the page's folder to the site's, such as ``../``.
    """
    head = joined(
        [
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", f"{title} · snn_gym results" if up else "snn_gym results"),
            element("link", rel="stylesheet", href=up + STYLE_NAME),
            element("script", src=up + SCRIPT_NAME, defer=True),
        ]
    )
    overview = element("a", "All results", href=up + INDEX_NAME)
    navigation = element("nav", overview, aria_label="Site") if up else ""
    main = element("main", element("h1", title), body)
    footer = element("footer", element("p", "Written by ", element("code", "snn-gym table --site")))
    parts = [element("header", navigation)] if up else []
    content = element("body", *parts, main, footer)
    return f"{BEGINNING}{head}</head>{content}</html>\n"
