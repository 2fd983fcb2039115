"""Test of the tutorial from training to gates, as it is written."""

import contextlib
import io
import re
import shutil

import pytest

from tests.docs.scripts import DOCS, load_script

MISSING = [x for x in ("iverilog", "yosys") if shutil.which(x) is None]


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
def test_a_trained_agent_decides_alike_as_gates(tmp_path):
    page, printed = (DOCS / "tutorials/gates.md").read_text("utf-8"), io.StringIO()
    assert len(page.splitlines()) <= 60
    with contextlib.redirect_stdout(printed):
        load_script("run_tutorials").run(page, tmp_path)
    assert "PASS: 200 decisions" in printed.getvalue()
    assert int(re.search(r"SB_LUT4 +(\d+)", printed.getvalue()).group(1)) < 5280  # of a UP5K
