"""Names of a synapse's features, and of masks of them; nothing here imports torch."""

from __future__ import annotations

FEATURES = ("action_history", "reward_history", "weight", "topology", "dynamics", "eligibility")
"""Blocks of features, in the order in which they are observed."""

MEASURED = ("dynamics", "eligibility")
"""Those of them that are measured while the network is judged."""

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
"""Masks by name; ``weight+topology`` is the founding paper's best."""
