"""Test of `make release-check`: its steps are targets of make."""

import re
import runpy

from snn_gym._base.folders import checkout_root

ROOT = checkout_root()
SCRIPT = ROOT / ".ci" / "release.py"


def test_every_step_is_a_target_of_make() -> None:
    steps = runpy.run_path(str(SCRIPT))["STEPS"]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert len(steps) == 6
    assert set(steps) <= set(targets)
