"""Add the results table and its small trained agents to wheel and source distribution."""

from __future__ import annotations

import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# By its path: the package itself needs what is not installed where a wheel is built.
RULE = Path("snn_gym/leaderboard/batches.py")


class ShippedAgents(BuildHookInterface[Any]):
    """Hook that hatchling calls before it builds."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files.

        Args:
            version: ``editable`` where the checkout itself is installed, which has all of them.
            build_data: What hatchling builds from; changed in place.
        """
        if version == "editable":
            return
        board = Path(self.root) / "leaderboard"
        inside = "snn_gym/_content/leaderboard" if self.target_name == "wheel" else "leaderboard"
        files = {file.relative_to(board): file for file in (board / "results").glob("*.jsonl")}
        files[Path("plan.toml")] = board / "plan.toml"
        self._made = tempfile.TemporaryDirectory()  # removed when the build ends
        shipped_weights = runpy.run_path(str(Path(self.root) / RULE))["shipped_weights"]
        for place, data in shipped_weights(board):
            files[place] = Path(self._made.name) / place
            files[place].parent.mkdir(parents=True, exist_ok=True)
            files[place].write_bytes(data)
        for place, file in files.items():
            build_data["force_include"][str(file)] = f"{inside}/{place.as_posix()}"
