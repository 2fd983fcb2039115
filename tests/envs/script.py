"""The script that writes the cards, as a module: docs/ is no package."""

import importlib.util

from snn_gym.content import checkout_root

_SPEC = importlib.util.spec_from_file_location(
    "write_cards", checkout_root() / "docs" / "write_cards.py"
)
write_cards = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(write_cards)
