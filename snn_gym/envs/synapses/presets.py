"""Names of a synapse's features and of their presets, without an import of torch."""

from __future__ import annotations

FEATURES = ("action_history", "reward_history", "weight", "topology", "dynamics", "eligibility")
"""Blocks of features, in the order of observations."""

MEASURED = ("dynamics", "eligibility")
"""Blocks that are measured while the network is judged."""

_BASE_PRESETS: dict[str, tuple[str, ...]] = {
    "history": ("action_history", "reward_history"),
    "weight": ("weight",),
    "weight+topology": ("weight", "topology"),
    "history+weight": ("action_history", "reward_history", "weight"),
    "history+topology": ("action_history", "reward_history", "topology"),
    "all": ("action_history", "reward_history", "weight", "topology"),
}
PRESETS: dict[str, tuple[str, ...]] = {
    **_BASE_PRESETS,
    **{f"{name}+dynamics": (*mask, "dynamics") for name, mask in _BASE_PRESETS.items()},
}
"""Presets by name; ``weight+topology`` is the founding paper's best."""
