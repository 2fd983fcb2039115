"""The timed first hour has the commands that README, guide and the end of the demo give."""

import re

from tests.readme import PAGES, ROOT

PAGE = PAGES["docs/guide/first-hour.md"]
TOLD = "\n".join(text for name, text in PAGES.items() if name != "docs/guide/first-hour.md")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8").replace("$(DEMO)", "runs/demo")


def test_each_timed_command_is_told_elsewhere():
    rows = re.findall(r"^\| [^|]+ \| `(snn-gym [^`]+)` \| \d+ \| [\d.]+ \|$", PAGE, re.M)
    assert len(rows) >= 12
    untold = {row for row in rows if row not in TOLD and row not in MAKEFILE}
    assert untold == {"snn-gym watch runs/my-agent --save mine.gif"}  # as training it ends
