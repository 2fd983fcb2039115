"""Features of a synapse for agents, chosen by a mask of names.

The founding paper (Zheng et al. 2026, https://www.mdpi.com/2313-7673/11/1/47) builds the state of a
synapse from its past actions, past rewards, present weight and place in the network; its exact
definitions are not public. These definitions are ours, and so are the blocks of local dynamics and
of the eligibility by a rule of plasticity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.envs.batch import few
from snn_gym.envs.synapses.plasticity import RULES

if TYPE_CHECKING:  # importing names of features must not load torch
    from snn_gym.spiking.population import SynapseTable

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

LOCAL_MEASURES = ("pre_rate", "post_rate", "coincidence", "window", "drive", "eligibility")
"""Names of the six measures, in their order."""

RULE_ELIGIBILITY = "rule_eligibility"
"""Name of the seventh measure, of a rule."""

TOPOLOGY = ("layer", "pre_index", "post_index", "fan_in", "fan_out")
"""Names of the columns of the block ``topology``."""

_MEASURES = len(LOCAL_MEASURES)


def check_features(features: Sequence[str]) -> tuple[str, ...]:
    """Return names in the order of ``FEATURES``; ValueError if none, unknown or repeated."""
    unknown = sorted(set(features) - set(FEATURES))
    if unknown or len(set(features)) != len(features):
        raise ValueError(
            f"features {list(features)} are unknown or repeated; allowed, each once: "
            f"{', '.join(FEATURES)}"
        )
    if not features:
        raise ValueError(
            f"features are empty, so that synapses see nothing; name at least one of "
            f"{', '.join(FEATURES)}"
        )
    return tuple(name for name in FEATURES if name in features)


def check_seen_rule(features: Sequence[str], rule: str | None) -> None:
    """Raise ValueError if only one of rule of plasticity and feature ``eligibility`` is given."""
    if "eligibility" in features and rule is None:
        raise ValueError(
            "the feature 'eligibility' is what a rule of plasticity makes of the decisions, got no "
            f"rule; give rule=..., one of {', '.join(RULES)}"
        )
    if rule is not None and "eligibility" not in features:
        raise ValueError(
            f"synapses do not see what rule={rule!r} makes of the decisions; add its feature: "
            f"features={(*features, 'eligibility')}"
        )


class SynapseFeatures:
    """Observations of the synapses of N networks.

    ``features`` are blocks of ``FEATURES``, ``table`` holds the places of the synapses,
    ``weight_limit`` becomes 1, and ``history`` is the number h of past actions and rewards.
    """

    def __init__(
        self, features: Sequence[str], table: SynapseTable, weight_limit: float, history: int = 2
    ) -> None:
        self.features = check_features(features)
        self.history = history
        self._weight_limit = weight_limit
        self._topology = topology(table)
        columns = {
            "action_history": tuple(f"action_{k + 1}_ago" for k in range(history)),
            "reward_history": tuple(f"reward_{k + 1}_ago" for k in range(history)),
            "weight": ("weight",),
            "topology": TOPOLOGY,
            "dynamics": LOCAL_MEASURES,
            "eligibility": (RULE_ELIGIBILITY,),
        }
        # Names of the F columns.
        self.names = tuple(name for block in self.features for name in columns[block])

    def observe(
        self,
        weights: NDArray[np.float32],
        actions: NDArray[np.int8],
        rewards: NDArray[np.floating],
        dynamics: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Return the features of every synapse (N, W, F), float32 in [-1, 1].

        ``weights`` are (N, W); past moves (N, h, W) and rewards (N, h) have the latest first, and
        rewards are clipped to [-1, 1]. ``dynamics`` (N, W, K) are needed for ``dynamics`` (the
        first six) and ``eligibility`` (the seventh). Missing measures and rewards that are not
        finite raise ValueError.
        """
        if not np.isfinite(rewards).all():
            wrong = rewards[~np.isfinite(rewards)]
            raise ValueError(
                f"rewards {few(wrong)} ({wrong.size} of {rewards.size}) are not finite; give the "
                "job finite scores"
            )
        measured = [name for name in MEASURED if name in self.features]
        if dynamics is None and measured:
            raise ValueError(
                f"the feature {measured[0]!r} needs measured local dynamics, got none; judge the "
                f"networks with a job that measures, or leave {measured[0]!r} out"
            )
        measures: Any = dynamics
        # Functions, so that only the chosen blocks are computed.
        blocks: dict[str, Callable[[], Any]] = {
            "action_history": lambda: actions.transpose(0, 2, 1),
            "reward_history": lambda: np.clip(rewards, -1.0, 1.0)[:, np.newaxis],
            "weight": lambda: np.clip(weights / self._weight_limit, -1.0, 1.0)[..., np.newaxis],
            "topology": lambda: self._topology[np.newaxis],
            "dynamics": lambda: measures[..., :_MEASURES],
            "eligibility": lambda: measures[..., _MEASURES, np.newaxis],
        }
        observed = np.empty((*weights.shape, len(self.names)), np.float32)
        start = 0
        for name in self.features:
            block = blocks[name]()
            observed[..., start : start + block.shape[-1]] = block
            start += block.shape[-1]
        return observed


def topology(table: SynapseTable) -> NDArray[np.float32]:
    """Return the places of synapses (W, 5), float32 in [-1, 1], columns as in ``TOPOLOGY``.

    Layer and indices run evenly from -1 to 1 (a single one is 0; a bias's index is the last one),
    fan-in and fan-out are shares of the network's largest, from -1 (none) to 1.
    """
    last = np.maximum(
        np.stack([np.full(len(table), table.layer.max()), table.fan_in - 1, table.fan_out - 1]), 1
    )
    places = np.stack([table.layer, table.pre, table.post])
    is_single = np.stack(
        [np.full(len(table), table.layer.max() == 0), table.fan_in == 1, table.fan_out == 1]
    )
    spread = np.where(is_single, 0.0, 2.0 * places / last - 1.0)
    fans = np.stack([table.fan_in / table.fan_in.max(), table.fan_out / table.fan_out.max()])
    columns: NDArray[np.float32] = np.concatenate([spread, 2.0 * fans - 1.0]).T.astype(np.float32)
    return columns
