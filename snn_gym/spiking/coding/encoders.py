"""Encoders under the name that pickles of 1.0.0 and before know them by.

Stable-Baselines3's own files hold such pickles. The types are those of ``snn_gym.program``.
"""

from __future__ import annotations

from typing import Any

from snn_gym.program import encoders


def __getattr__(name: str) -> Any:
    """Return a type of ``snn_gym.program.encoders`` (PEP 562)."""
    return getattr(encoders, name)
