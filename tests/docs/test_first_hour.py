"""Test of the timed first hour: its commands are in README, the guide or the demo."""

import re

from tests.readme import PAGES, ROOT

TIMED = "docs/guide/first-hour.md"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8").replace("$(DEMO)", "runs/demo")


def test_each_timed_command_stands_on_another_page():
    pages = "\n".join([MAKEFILE, *(text for name, text in PAGES.items() if name != TIMED)])
    rows = re.findall(r"^\| [^|]+ \| `(snn-gym [^`]+)` \| \d+ \| [\d.]+ \|$", PAGES[TIMED], re.M)
    assert len(rows) >= 12
    missing = {row for row in rows if row not in pages}
    assert missing == {"snn-gym watch runs/my-agent --save mine.gif"}  # as training ends
