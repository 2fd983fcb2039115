"""The loop of networks whose synapses move: move, judge on a probe, remember."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snn_gym.synapses.features import SynapseFeatures
from snn_gym.synapses.jobs import Judgement, Probe, Weights
from snn_gym.synapses.local_dynamics import LOCAL_MEASURES
from snn_gym.synapses.plasticity import PlasticityRule

JudgeWeights = Callable[[Weights, Probe], Judgement]
"""What judges networks (P, W), each on its own probe (P, E)."""

_NONE = np.empty(0, np.int64)


@dataclass
class MovingNetworks:
    """N networks, what they are judged on, and what their synapses remember."""

    weights: NDArray[np.float32]
    """(N, W), present ones."""
    probes: Probe
    """(N, E), what each network is judged on."""
    scores: NDArray[np.float64]
    """(N,), of the weights on the probe."""
    steps: NDArray[np.int64]
    """(N,), environment steps, or samples seen, that judging took."""
    moves: NDArray[np.int8]
    """(N, h, W), past ones in {-1, 0, 1}, the latest first."""
    rewards: NDArray[np.float32]
    """(N, h), past ones, the latest first."""
    dynamics: NDArray[np.float32]
    """(N, W, K), ``LOCAL_MEASURES`` when the weights were judged and, where synapses see a rule of
    plasticity, its eligibility; 0 where none are measured."""

    @classmethod
    def empty(
        cls,
        networks: int,
        synapses: int,
        probe_size: int,
        history: int,
        rule: PlasticityRule | None = None,
    ) -> MovingNetworks:
        """Return N networks of W synapses that were neither moved nor judged, with weights of 0."""
        measures = len(LOCAL_MEASURES) + (rule is not None)
        return cls(
            weights=np.zeros((networks, synapses), np.float32),
            probes=np.zeros((networks, probe_size), np.int64),
            scores=np.full(networks, np.nan),
            steps=np.zeros(networks, np.int64),
            moves=np.zeros((networks, history, synapses), np.int8),
            rewards=np.zeros((networks, history), np.float32),
            dynamics=np.zeros((networks, synapses, measures), np.float32),
        )


class SynapseLoop:
    """Move, judge and observe networks.

    Old and new weights are always compared on one probe.

    Args:
        networks: The networks; changed in place.
        features: What their synapses observe.
        judge: What judges them.
        weight_limit: Bound of every weight's absolute value.
        addressees: (W,), the synapse whose dynamics each one sees; its own if None.
    """

    def __init__(
        self,
        networks: MovingNetworks,
        features: SynapseFeatures,
        judge: JudgeWeights,
        weight_limit: float,
        addressees: NDArray[np.int64] | None = None,
    ) -> None:
        self._networks = networks
        self._features = features
        self._judge = judge
        self._weight_limit = weight_limit
        self._addressees = addressees

    @property
    def seen_dynamics(self) -> NDArray[np.float32]:
        """Local measures (N, W, K) that each synapse sees."""
        dynamics = self._networks.dynamics
        return dynamics if self._addressees is None else dynamics[:, self._addressees]

    def observe(self) -> NDArray[np.float32]:
        """Return the features of every synapse (N, W, F), float32 in [-1, 1]; a new array."""
        networks = self._networks
        return self._features.observe(
            networks.weights, networks.moves, networks.rewards, self.seen_dynamics
        )

    def begin(self, which: NDArray[np.int64], weights: NDArray[np.float32], probes: Probe) -> None:
        """Judge fresh weights of some networks, which forget what was.

        Args:
            which: The networks (n,).
            weights: (n, W).
            probes: (n, E).
        """
        networks = self._networks
        networks.weights[which] = self._clipped(weights)
        networks.probes[which] = probes
        networks.steps[which] = 0
        networks.moves[which] = 0
        networks.rewards[which] = 0.0
        self.judge_present(which)

    def judge_present(self, which: NDArray[np.int64]) -> None:
        """Judge the present weights of some networks (n,) on their probes."""
        networks = self._networks
        judged = self._judge(networks.weights[which], networks.probes[which])
        networks.scores[which] = judged.scores
        networks.steps[which] += judged.network_steps
        if judged.dynamics is not None:
            networks.dynamics[which] = judged.dynamics

    def move(
        self,
        steps: NDArray[np.floating],
        anew: NDArray[np.int64] = _NONE,
        *,
        takes_back: bool = False,
    ) -> NDArray[np.float64]:
        """Move all weights by steps and judge them.

        Args:
            steps: (N, W), added to the weights, which stay within their limit.
            anew: Networks (n,) whose weights before are judged beside those after: their probe is
                new.
            takes_back: Whether networks that got worse stay as they were.

        Returns:
            By how much the scores rose (N,).
        """
        networks, count = self._networks, len(steps)
        moved = self._clipped(networks.weights + steps)
        judged = self._judge(
            np.concatenate([moved, networks.weights[anew]]),
            np.concatenate([networks.probes, networks.probes[anew]]),
        )
        networks.scores[anew] = judged.scores[count:]
        networks.steps += judged.network_steps[:count]
        networks.steps[anew] += judged.network_steps[count:]
        gains = judged.scores[:count] - networks.scores
        kept = gains >= 0.0 if takes_back else np.ones(count, np.bool_)
        networks.weights[kept] = moved[kept]
        networks.scores[kept] = judged.scores[:count][kept]
        if judged.dynamics is not None:
            networks.dynamics[kept] = judged.dynamics[:count][kept]
        return gains

    def remember(self, moves: NDArray[np.int8], rewards: NDArray[np.floating]) -> None:
        """Put moves (N, W) and rewards (N,) before the past ones; the oldest are forgotten."""
        networks = self._networks
        for past, latest in ((networks.moves, moves), (networks.rewards, rewards)):
            past[:, 1:] = past[:, :-1]
            past[:, 0] = latest

    def _clipped(self, weights: NDArray[np.floating]) -> NDArray[np.float32]:
        clipped: NDArray[np.floating] = np.clip(weights, -self._weight_limit, self._weight_limit)
        return clipped.astype(np.float32, copy=False)
