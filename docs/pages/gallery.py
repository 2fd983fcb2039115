"""The galleries of environments and agents."""

from __future__ import annotations

from pathlib import Path


def contents(heading: str, names: list[str]) -> str:
    """Return a page that lists others."""
    entries = "\n".join(names)
    return f"# {heading}\n\n```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```\n"


def gallery_pages(root: Path) -> dict[str, str]:
    """Return the text of each gallery by its path on the site."""
    environments = sorted(card.stem for card in (root / "envs").glob("*.md"))
    agents = sorted(card.parent.name for card in (root / "agents").glob("*/README.md"))
    return {
        "environments/index.md": contents("Environments", environments),
        "agents/index.md": contents("Agents", agents),
    }
