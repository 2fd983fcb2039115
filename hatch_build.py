"""Add the trained agents that travel with the package to wheel and source distribution."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# By its path: the package itself needs what is not installed where a wheel is built.
RULE = Path("snn_gym/leaderboard/shipping.py")


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
        shipped_files = runpy.run_path(str(Path(self.root) / RULE))["shipped_files"]
        for file in shipped_files(board):
            build_data["force_include"][str(board / file)] = f"{inside}/{file.as_posix()}"
