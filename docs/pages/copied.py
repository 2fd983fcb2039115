"""Cards, rules and results as pages: the same text, with links that hold on the site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def sources(root: Path) -> dict[str, str]:
    """Return the pages that are copies: path in the repository to path on the site."""
    found = {
        "CONTRIBUTING.md": "project/contributing.md",
        "CHANGELOG.md": "project/changelog.md",
        "leaderboard/RULES.md": "results/rules.md",
    }
    for card in sorted((root / "envs").glob("*.md")):
        found[f"envs/{card.name}"] = f"environments/{card.name}"
    for card in sorted((root / "agents").glob("*/README.md")):
        found[f"agents/{card.parent.name}/README.md"] = f"agents/{card.parent.name}.md"
    return found


def on_site(path: str, pages: dict[str, str]) -> str | None:
    """Return where a file of the repository stands on the site, None if it does not."""
    if path in pages:
        return pages[path]
    if path in ("README.md", "leaderboard/README.md"):
        return "index.md" if path == "README.md" else "results/index.md"
    return path.removeprefix("docs/") if path.startswith("docs/") else None


def relinked(text: str, source: str, pages: dict[str, str]) -> str:
    """Return a page's text with its relative links made right for its place on the site.

    What the site does not hold, such as a file of the code, is named instead of linked.

    Args:
        text: Markdown.
        source: Where it stands in the repository, such as ``envs/CartPole-v1.md``.
        pages: The copies, by path in the repository.
    """
    place_of_source = on_site(source, pages)
    assert place_of_source is not None
    here = posixpath.dirname(place_of_source)

    def rewrite(found: re.Match[str]) -> str:
        bang, label, target = found.groups()
        if "://" in target or target.startswith("#"):
            return found[0]
        path, mark, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        place = on_site(path, pages)
        if place is None:
            return f"`{path}`"
        return f"{bang}[{label}]({posixpath.relpath(place, here or '.')}{mark}{anchor})"

    return LINK.sub(rewrite, text)


def copied_pages(root: Path) -> dict[str, str]:
    """Return the copies' text by their paths on the site."""
    pages = sources(root)
    return {
        place: relinked((root / source).read_text(encoding="utf-8"), source, pages)
        for source, place in pages.items()
    }
