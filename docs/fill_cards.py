"""Write the results of the leaderboard into the cards that list agents.

    python docs/fill_cards.py

The table of the section "Agents" of every card that has one is written afresh; the text under it
stays. Run it after ``snn-gym verify`` has added rows: a test holds cards and results together.
"""

from __future__ import annotations

import re
from pathlib import Path

from snn_gym.registry import EnvironmentSpec, load_environment_spec
from snn_gym.scoring import COLUMNS, TableRow, table_rows

ROOT = Path(__file__).resolve().parents[1]
HEADINGS = ("Id", "Agent", "Seeds", "Mean return of each seed", "Normalised", "Steps")
CARD_COLUMNS = ("Agent", "Seeds", "Mean of each seed", "Normalised", "Steps")
TABLE = re.compile(r"(?<=^## Agents\n\n)(?:\|.*\n)*", re.MULTILINE)


def agents_table(spec: EnvironmentSpec, rows: tuple[TableRow, ...]) -> str:
    """Return the Markdown table of the rows of a card's ids, lowest level first."""
    level = spec.registers.index
    of_card = [row for row in rows if row.environment in spec.registers]
    lines: list[tuple[str, ...]] = [HEADINGS]
    for row in sorted(of_card, key=lambda row: (level(row.environment), row.agent)):
        cells = dict(zip(COLUMNS, row.cells(), strict=True))
        lines.append((f"`{row.environment}`", *(cells[name] for name in CARD_COLUMNS)))
    head, *body = (f"| {' | '.join(line)} |\n" for line in lines)
    return "".join([head, "|---" * len(HEADINGS) + "|\n", *body])


def main() -> None:
    """Fill every card."""
    rows = table_rows(ROOT / "leaderboard")
    for card in sorted((ROOT / "envs").glob("*.md")):
        head, *rest = TABLE.split(card.read_text(encoding="utf-8"))
        if rest:
            table = agents_table(load_environment_spec(f"snn/{card.stem}"), rows)
            card.write_text(table.join([head, *rest]), encoding="utf-8")


if __name__ == "__main__":
    main()
