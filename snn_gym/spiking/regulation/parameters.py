"""Typed parameters of regulation: penalties, controller, and lean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from snn_gym._base.config import Config, Count, NonNegative, Positive, PositiveShare, Range, Share

Controlled = Literal["gain", "synapses", "threshold", "slope"]
Signals = Literal["own", "shuffled", "uniform", "scale", "blind", "prune"]
ShedCost = Literal["synops", "operations", "cmos45", "loihi"]


@dataclass(frozen=True)
class ControllerParameters(Config):
    """Homeostasis: the controlled quantity, and the speed and range of its changes.

    The rule and its sources are in ``snn_gym.spiking.regulation.penalties``.
    """

    controlled: Controlled = "threshold"
    """``gain``, ``synapses`` or ``threshold`` of each neuron, by its rate; ``slope`` of a
    layer's surrogate gradient, by the share of its potentials within the surrogate's window."""
    step: Positive = 0.5
    """Change for a distance of 1 from the range: of the logarithm of gain or slope, or of the
    threshold in units of the rheobase."""
    limit: Positive = 1.0
    """Largest change over all of training, in the units of ``step``."""
    min_window_share: Share = 0.1
    """With ``slope``, lower end of the range of the share of potentials in the window."""
    max_window_share: Share = 0.5
    """With ``slope``, upper end of the range of the share of potentials in the window."""
    min_samples: Count = 1024
    """Decisions that are measured for one change."""

    def _check(self) -> None:
        _check_range("window_share", self.min_window_share, self.max_window_share)


@dataclass(frozen=True)
class LeanParameters(Config):
    """Shedding of spikes by a network that has learned, while its behaviour stays the same.

    The rules are in ``snn_gym.spiking.regulation.lean``; ``snn_gym.learners.lean`` makes algorithms
    that follow them.
    """

    bound: Positive = 0.03
    """Initial bound on the divergence from the network's own frozen policy: the mean over the
    visited states of ``worst_share`` of the Kullback-Leibler divergence (nat), for continuous
    actions of Gaussians whose standard deviation is a quarter of the action's range."""
    worst_share: PositiveShare = 1.0
    """Share of the visited states, those with the largest divergence, that are bounded; 1 for
    all. A mean over all states hides losses in the few states that decide."""
    max_bound: Positive = 0.05
    """Largest bound to which good returns may widen it; a larger initial bound is not widened."""
    max_synops: Positive | None = None
    """Synaptic operations of hidden spikes that a decision may cost: the divergence is minimised
    at that cost. None to minimise the cost at a bounded divergence."""
    latest_start: PositiveShare = 0.9
    """Share of the training after which learning counts as over unless the return still rises. The
    step sizes of most agents have then decayed, while policies frozen at 0.8 were still learning.
    """
    largest_rise: NonNegative | None = 0.2
    """Change of the training return that the rest of the training may still bring, in units of the
    gain so far, for learning to count as over from ``latest_start`` on. It is that of a policy that
    explores less and less: the best actions earn the same by then. None for any change, also where
    no return is known, as control experiments need it; then what is shed need not be measured."""
    patience: PositiveShare = 0.4
    """Share of the training without a better return after which learning is over."""
    tolerance: Share = 0.02
    """Allowed loss of return, in units of the gain since the start of training."""
    updates: Count = 3000
    """Updates of the weights, spread evenly over the rest of the training."""
    batch_size: Count = 256
    """Decisions in an update."""
    learning_rate: Positive = 0.003
    """Step size of Adam at the first update; falls linearly."""
    final_learning_rate: NonNegative = 0.00015
    """Step size at the last update."""
    first_strength: NonNegative = 0.3
    """Strength of the cost at the first update, at most 0.01 for filters that became dense layers;
    0, with ``control_rate`` 0, for no cost at all."""
    control_rate: NonNegative = 0.05
    """Change of the strength's logarithm at an update whose divergence is zero; 0 for a
    constant."""
    episodes: Count = 10
    """Least number of training episodes that are judged together."""
    widening: Annotated[float, Range(at_least=1)] = 1.5
    """Factor of the bound after episodes that kept their return; 1 for a constant bound."""
    signals: Signals = "own"
    """Signal of a neuron: the cost of its ``own`` spikes, or as control experiment that of
    another neuron of its layer (``shuffled``), the layer's mean (``uniform``), the same for its
    threshold alone (``scale``), or none, with weight decay (``blind``) or pruning of synapses
    alone (``prune``)."""
    pruning: NonNegative = 3.0
    """Pruned synapses for each remaining one, in units of the strength; 0 for none. Synapses of
    the smallest weights are pruned, among those that spikes pass into every layer of neurons. With
    another ``cost`` than ``synops``: least relevance that stays, in units of the strength times the
    part's share in the price."""
    cost: ShedCost = "synops"
    """``synops`` sheds spikes and synapses. A price of ``snn_gym.program.prices``, such as
    ``operations``, sheds whatever costs under it: neurons, inputs, synapses, spikes and time steps.
    The network is then rebuilt without the neurons that are left over."""

    @property
    def sheds_neurons(self) -> bool:
        """Whether neurons and time steps are shed too, by the whole cost of a decision."""
        return self.cost != "synops"

    @property
    def sheds(self) -> bool:
        """Whether anything is shed; if not, only a teacher is followed."""
        return max(self.first_strength, self.control_rate) > 0

    def _check(self) -> None:
        if self.sheds_neurons and (self.signals != "own" or self.max_synops is not None):
            raise ValueError(
                f"cost {self.cost!r} sheds by the whole cost, and signals {self.signals!r} with "
                f"max_synops {self.max_synops} by synaptic operations; leave one of them out"
            )
        if self.signals == "prune" and self.pruning == 0:
            raise ValueError(
                "signals 'prune' with pruning 0 shed nothing; give pruning above 0, such as 3"
            )
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"final_learning_rate must be at most learning_rate={self.learning_rate}, got "
                f"{self.final_learning_rate}"
            )


@dataclass(frozen=True)
class RegulationParameters(Config):
    """Regulation of a network: it keeps neurons responsive while the network is optimised.

    Penalties act through the gradient, a controller between rollouts (both in
    ``snn_gym.spiking.regulation.penalties``). A rate is a neuron's spikes per time step, averaged
    over time steps and batch: 0 is silent, 1 fires at every step.
    """

    min_rate: Share = 0.05
    """Least rate that is not regulated."""
    max_rate: Share = 0.5
    """Largest rate that is not regulated; equal to ``min_rate`` for a target rate."""
    rate_strength: NonNegative = 0.0
    """Weight in the loss of the penalty on rates outside of the range; 0 for none."""
    rescue_strength: NonNegative = 0.0
    """Additional weight of that penalty from when most neurons of the network are silent or
    saturated until few are; 0 for none."""
    voltage_strength: NonNegative = 0.0
    """Weight in the loss of the penalty on potentials beyond the threshold, or as far below
    rest; 0 for none."""
    controller: ControllerParameters | None = None
    """Homeostasis, with ``rescue_strength`` only while a rescue lasts; None for none."""
    lean: LeanParameters | None = None
    """Shedding of spikes once learning is over; None for none."""
    shuffle_seed: Annotated[int, Range(at_least=0, below=2**63)] | None = None
    """Seed of a permutation by which every neuron receives the signals of another neuron of its
    layer: a control experiment with signals of the same number and size at the wrong neurons.
    None for each neuron's own signals."""

    def _check(self) -> None:
        _check_range("rate", self.min_rate, self.max_rate)
        if not self.penalised and self.controller is None and self.lean is None:
            raise ValueError(
                "regulation does nothing: give rate_strength, rescue_strength or voltage_strength "
                "above 0, a controller or lean, or leave regulation out"
            )
        moves_slope = self.controller is not None and self.controller.controlled == "slope"
        if self.shuffle_seed is not None and moves_slope:
            raise ValueError(
                "shuffle_seed permutes neurons, and the slope is one of a whole layer, which no "
                "permutation changes; control 'gain' or 'threshold', or leave shuffle_seed out"
            )

    @property
    def penalised(self) -> bool:
        """Whether any of the three penalties has a strength above 0."""
        return max(self.rate_strength, self.rescue_strength, self.voltage_strength) > 0


def _check_range(name: str, low: float, high: float) -> None:
    if low > high:
        raise ValueError(f"min_{name} must be at most max_{name}, got {low} and {high}")
