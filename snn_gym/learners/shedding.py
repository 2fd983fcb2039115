"""Removal of spikes, or of whatever costs, that a policy's behaviour does not need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor, nn

from snn_gym._base.storage import from_arrays, prefixed, to_arrays, with_prefix
from snn_gym.learners.lean_rules import (
    CHECKED,
    COMPARED,
    FOLDED_RATES,
    MEASURED,
    REPAIRED,
    SETTLING,
    STRENGTHS,
    SYNOPS_MARGIN,
    WHOLE_COMPARED,
    BoundControl,
    StrengthControl,
    fold,
    prune,
    prune_matrices,
    spike_cost,
)
from snn_gym.learners.visited import make_visited
from snn_gym.learners.whole_cost import Halving, WholeCost
from snn_gym.policies.base import ProgramPolicy, SpikingPolicy, spiking_policy_of
from snn_gym.policies.behaviour import divergence, value_scale
from snn_gym.policies.shrinking import made_anew
from snn_gym.spiking import SpikingNetwork
from snn_gym.spiking.assembly import time_steps_in
from snn_gym.spiking.execution import NetworkRun, spikes_of
from snn_gym.spiking.network_config import LeanParameters
from snn_gym.spiking.normaliser import FIRST_OBSERVATIONS
from snn_gym.spiking.recording import zeros_behind
from snn_gym.spiking.spiking_layer import SharedLinear


# ---- episode returns -----------------------------------------------------------------------------
class EpisodeReturns:
    """Returns of training episodes, equally many from each environment.

    Short episodes end first, so those that have ended are a biased sample if returns depend on
    lengths. Hence each environment counts with its oldest stored episodes, as many as the
    environment with the fewest has. Episodes under way at ``forget`` do not count, and those at
    the start only if ``running_count``.
    """

    def __init__(self, environments: int, *, running_count: bool = False) -> None:
        self._returns: list[list[float]] = [[] for _ in range(environments)]
        # The episode under way does not count.
        self._skipped = np.full(environments, not running_count)
        self._between = np.zeros(environments, np.bool_)  # no episode is under way

    def step(self, infos: Sequence[Mapping[str, Any]]) -> None:
        """Add the episodes that ended in a step; ``infos`` are ``Monitor``'s, by environment."""
        for k, info in enumerate(infos):
            ended = "episode" in info
            if ended and not self._skipped[k]:
                self._returns[k].append(float(info["episode"]["r"]))
            self._skipped[k] &= not ended
            self._between[k] = ended

    @property
    def returns(self) -> list[float]:
        """Returns of equally many episodes of each environment, one environment after another."""
        count = min(map(len, self._returns))
        return [value for returns in self._returns for value in returns[:count]]

    def forget(self) -> None:
        """Drop all returns; episodes under way will not count when they end."""
        self.clear()
        self._skipped = ~self._between

    def clear(self) -> None:
        """Drop all returns; episodes under way will count when they end."""
        for returns in self._returns:
            returns.clear()

    def forget_old(self, most: int) -> None:
        """Drop equally many old episodes of each, so that ``returns`` has ``most`` or one each."""
        kept = max(1, most // len(self._returns))
        old = max(0, min(map(len, self._returns)) - kept)
        for returns in self._returns:
            del returns[:old]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the state as arrays by name, for a checkpoint."""
        return {
            "returns": np.array([value for x in self._returns for value in x], np.float64),
            "counts": np.array([len(returns) for returns in self._returns]),
            "skipped": self._skipped.copy(),
            "between": self._between.copy(),
        }

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore the state from what the method ``arrays`` returned."""
        parts = np.split(arrays["returns"], np.cumsum(arrays["counts"])[:-1])
        self._returns = [part.tolist() for part in parts]
        self._skipped = np.array(arrays["skipped"])
        self._between = np.array(arrays["between"])


# ---- shedding ------------------------------------------------------------------------------------
# ``snn_gym.learners.lean_rules`` has the rules and the cost.
_STAYED = 25  # updates that weights must stay within the bound to be gone back to
_UNDONE = 100  # updates in a row beyond the bound after which they are
_ASTRAY = 2.0  # bounds that the divergence of final weights may reach
# Final weights that kept the return beyond the bound, in states that no update has seen, are
# repaired by up to so many updates, in blocks after which the divergence is measured again.
_LAST_REPAIRS, _BLOCK = 1000, 50
_LAST_STEP = 1 / 3  # their step size, in units of the first
# At its place, a filter's neuron may fire in one state of a hundred. In a batch where it is silent
# it looks worthless, so that many batches decide.
_SMOOTHING = 0.02  # weight of a batch in the means by which such neurons are shed
_FRESH = 1024  # decisions by which the divergence in the latest states is measured
_MOST_JUDGED = 300  # episodes; older ones had more spikes
_ADAM = ("step", "exp_avg", "exp_avg_sq")
_NUMBERS = ("counters", "strength", "bound", "halving")


@dataclass
class Counters:
    """State of a ``Shedding`` in numbers, beside that of its two control loops."""

    begun_at: float
    """Share of the training that was done when the shedding began."""
    updates: int = 0
    first_cost: float = 0.0
    """Cost of the network before the first update."""
    beyond: int = 0
    """Updates in a row after which the divergence exceeded the bound."""
    temperature: float = 1.0
    """Divisor that makes action values like log-odds; 1 for other behaviour."""


PolicyT = TypeVar("PolicyT", bound=ProgramPolicy)


def twin_of(policy: PolicyT) -> PolicyT:
    """Return a copy of a policy that makes the same decisions; parts that do not act are new."""
    return made_anew(policy, policy.acting_state_dict())


def load_acting(policy: ProgramPolicy, tensors: Mapping[str, Tensor]) -> None:
    """Load acting tensors, and let the policy decide in their number of time steps."""
    network, steps = policy.acting_network(), time_steps_in(tensors)
    # The network's own, because spike trains replace the configured number.
    own = network.config.time_steps if isinstance(network, SpikingNetwork) else None
    if isinstance(policy, SpikingPolicy) and steps is not None and steps != own:
        policy.set_time_steps(int(steps))
    policy.load_acting_state_dict(tensors)


class Shedding:
    """Removal of spikes from one model's policy, within a bound on its divergence from a teacher.

    The teacher is a copy, by default of the present policy. ``progress`` is the share of the
    training that is done.
    """

    def __init__(
        self,
        model: BaseAlgorithm,
        parameters: LeanParameters,
        bound: BoundControl,
        progress: float,
        teacher: ProgramPolicy | None = None,
    ) -> None:
        self._model, self._parameters = model, parameters
        self._policy = spiking_policy_of(model)
        self.teacher = twin_of(self._policy if teacher is None else teacher)
        self._visited = make_visited(model, self.teacher)
        self._weights = acting_parameters(self._policy)
        self._spikes = isinstance(self._policy.acting_network(), SpikingNetwork)
        layers = list(self._policy.acting_network().layers) if self._spikes else []
        self._absent = [*(_absent(layer.linear) for layer in layers[1:]), 0.0]
        self._fan_outs = _fan_outs(self._policy, self._absent) if layers else []
        self._optimiser = torch.optim.Adam(self._weights.values(), lr=parameters.learning_rate)
        self._good = self._policy.acting_state_dict()
        self._within: dict[str, Tensor] = {}  # the last weights that stayed within the bound
        self._newer: dict[str, Tensor] = {}  # newer ones, which have not stayed yet
        self._whole: WholeCost | None = None
        if parameters.sheds_neurons and self._spikes:
            self._whole = WholeCost(self._policy, parameters.cost)
        self._measured = (
            teacher is None and parameters.largest_rise is not None and self._follows_returns
        )
        """Whether the final weights have to be measured, or are gone back from."""
        # A given teacher has acted from the first step on.
        taught = self._whole is not None and teacher is not None
        self.episodes = EpisodeReturns(model.n_envs, running_count=taught)
        """Training episodes since the last verdict."""
        self.counters = Counters(progress)
        self._take_structure()
        self.strength = StrengthControl(self._first_strength)
        self.bound = bound
        self.halving = Halving()
        self.refused = False
        """Whether the policy was frozen in a bad moment, earning less than the training did before;
        then learning goes on."""
        self._last = 0.0, 0.0  # synaptic operations and divergence, for logs

    def update(self, progress: float, ahead: float) -> None:
        """Make the updates due until ``ahead``, the progress at the next call.

        Before them, collect visited states and judge the training returns. There are no updates
        while episodes measure the frozen policy's return, nor after the last one.
        """
        self._visited.collect()
        if self.counters.updates == self._parameters.updates:
            self._log()
            return  # the weights are final, and their episodes are judged together
        self._fit_normaliser()
        if self.counters.updates == 0:
            if self.counters.first_cost == 0.0:
                # States are known only now, after the first rollout.
                self._begin()
            verdict = self.bound.judge(self.episodes.returns, self._parameters)
            self.refused = self._measured and verdict == "lost"
            if self.refused or self._share_due(progress) < 0:
                return  # episodes still measure the return of the frozen policy
            self.bound = self.bound.compared_with(self.episodes.returns)
            self.episodes.forget()
        self._judge(progress)
        # Updates are spread evenly over the steps that are left.
        due = round(self._parameters.updates * min(1.0, self._share_due(ahead)))
        if self.counters.updates == 0 < due and self._parameters.signals == "own" and self._spikes:
            self._fold()
        repairs = self._repairs
        with torch.enable_grad():
            for _ in range(due - self.counters.updates):
                self._step()
        # Only episodes of the final weights judge the end, or of those that are repaired.
        if self._whole is not None and self._repairs and not repairs:
            self.episodes.clear()
            if self.counters.beyond:
                self._go_back()
        if due == self._parameters.updates and (self._measured or self._whole is None):
            self.episodes.forget()
        self._log()

    def finish(self) -> str:
        """Restore earlier weights where the final ones are not known to serve; return a report.

        Weights that significantly lost more return than the tolerance, in training episodes of the
        final weights or of those that are repaired, give way to those of the last ``kept``, or of
        the start. By the whole cost, an unclear loss counts too if the divergence is twice the
        bound. Weights that have to be measured also give way if fewer than ``episodes`` measured
        them, unless five or more show that the return is kept, or if they are beyond the bound in
        the latest states and repairs do not bring them back. The student of a given teacher, and a
        shedding without ``largest_rise``, need not be measured. Nothing changes with
        ``max_synops``.
        """
        self._forget_old()
        returns, parameters = self.episodes.returns, self._parameters
        # Few episodes are left for the final weights.
        few = replace(parameters, episodes=max(2, min(5, parameters.episodes)))
        if not self._measured:
            parameters = few
        verdict = self.bound.judge(returns, parameters)
        # Few episodes end in some trainings: far from the teacher, a loss may be unseen.
        lower = verdict == "unclear" and not self.bound.seems_kept(returns, parameters)
        doubted = lower and self._whole is not None and bool(self._within)
        lost = verdict == "lost" or (doubted and self._is_unsettled(_ASTRAY))
        why = "the final ones lost return" if lost and self._follows_returns else ""
        are_few = len(returns) < parameters.episodes and self.bound.judge(returns, few) != "kept"
        if self._measured and are_few:
            why = f"fewer than {parameters.episodes} episodes measured the final ones"
        if not self._measure_final() and not why and not self._repair_final():
            why = f"the final ones were {self.divergence:.2g} nat from the frozen ones"
        for earlier in (self._good, self.teacher.acting_state_dict()) if why else ():
            load_acting(self._policy, earlier)
            if self._measure_final():
                break
        done = f"went back to weights that kept the return, because {why}" if why else "shed"
        return self._report(done, returns)

    def _measure_final(self) -> bool:
        """Measure in the latest states; return whether the divergence is small enough."""
        far, runs = self._look(_FRESH, newest=True)
        self._last = self._cost(spikes_of(runs))[1], far
        if self._follows_returns:
            self.strength = replace(self.strength, smoothed=far)
        return far <= self.bound.bound or not self._measured

    def _repair_final(self) -> bool:
        """Repair final weights that kept the return; return whether they come within the bound."""
        bound, whole = self.bound.bound, self._whole
        self._optimiser.param_groups[0]["lr"] = _LAST_STEP * self._parameters.learning_rate
        for _ in range(_LAST_REPAIRS // _BLOCK):
            with torch.enable_grad():
                for _ in range(_BLOCK):
                    present = [] if whole is None else whole.present()
                    far, _ = self._measure(*self._visited.sample(self._parameters.batch_size))
                    self._set_gradients(far / bound, torch.zeros_like(far))
                    self._descend()
                    if whole is not None:
                        whole.keep(present)
            if self._measure_final():
                return True
        return False

    def _report(self, done: str, returns: Sequence[float]) -> str:
        """Return a sentence on the shedding, whose final policy is measured."""
        words = [f"{done}: {self._last[0]:,.0f} synaptic operations a decision"]
        if self._measured:
            final = self._policy.acting_state_dict()
            load_acting(self._policy, self.teacher.acting_state_dict())
            frozen = self._cost(spikes_of(self._look(_FRESH, newest=True)[1]))[1]
            load_acting(self._policy, final)
            words = [f"{words[0]}, of {frozen:,.0f}"]
        if returns and self.bound.is_followed:
            earned, reference = f"{np.mean(returns):,.4g}", f"{self.bound.reference:,.4g}"
            words.append(
                f"{len(returns)} episodes of the final weights earned {earned}, of the frozen ones "
                f"{reference}"
            )
        return "; ".join(
            [*words, f"divergence {self.divergence:.2g} nat, at most {self.bound.bound:.2g}"]
        )

    @property
    def divergence(self) -> float:
        """Running mean of the divergence; with ``max_synops`` that of the last update."""
        # There the running mean is that of the operations.
        return self.strength.smoothed if self._follows_returns else self._last[1]

    @property
    def _first_strength(self) -> float:
        """Strength of the cost at the first update."""
        first = self._parameters.first_strength
        # Of many neurons most matter little: the first cut would be more than updates repair.
        return min(first, STRENGTHS[0]) if self._absent_weights else first

    @property
    def _repairs(self) -> bool:
        """Whether all that is shed is shed, and the rest of the updates keeps the behaviour."""
        last = (1.0 - SETTLING) * self._parameters.updates
        repairs = self._measured or self._whole is not None
        return repairs and self.counters.updates >= last

    @property
    def _follows_returns(self) -> bool:
        return self._parameters.max_synops is None

    def _share_due(self, progress: float) -> float:
        """Return the share of updates due at a progress: below 0 before the first, may exceed 1."""
        left = 1.0 - self.counters.begun_at
        first, last = 0.0, CHECKED
        if self._measured:
            first, last = MEASURED
        elif self._follows_returns and self.bound.is_followed:
            first = COMPARED if self._whole is None else WHOLE_COMPARED
        if left <= 0:
            return 1.0
        return ((progress - self.counters.begun_at) / left - first) / (1.0 - last - first)

    @torch.no_grad()
    def _fit_normaliser(self) -> None:
        """Add visited states to the normaliser's statistics, if the teacher gave none."""
        normaliser, taught = self._policy.normaliser, not self._parameters.sheds
        # Rows of students that shed were trained without statistics.
        if normaliser is None or self.teacher.normaliser is not None or not taught:
            return
        if normaliser.count.item() < FIRST_OBSERVATIONS:
            with normaliser.accumulating():
                self._policy.watched(self._visited.sample(_FRESH, newest=True)[0])
            normaliser.updates_started()
            normaliser.rollout_started()

    def _begin(self) -> None:
        """Set temperature and first cost, from a sample of visited states."""
        observations, behaviour = self._visited.sample(self._parameters.batch_size)
        if self.teacher.rates_actions:
            self.counters.temperature = value_scale(behaviour)
        with torch.no_grad():
            far, runs = self._measure(observations, behaviour)
            self._set_first_cost(runs)
        if self._whole is not None:
            # A student that starts as its teacher may halve its time steps at once.
            self.strength = replace(self.strength, smoothed=float(far))

    def _set_first_cost(self, runs: Sequence[NetworkRun]) -> None:
        if self._whole is not None:
            first = self._whole.price(runs)
        else:
            first = float(self._cost(spikes_of(runs))[0])
        # A silent network costs 0, and later costs are divided by the first.
        self.counters.first_cost = max(first, 1e-6)

    @torch.no_grad()
    def _fold(self) -> None:
        """Replace neurons that fire at nearly every time step by biases of the layers they reach.

        The policy changes in place, and the first cost is measured again. Neurons are replaced from
        the lowest rate of ``FOLDED_RATES`` on after which updates can still repair the divergence.
        If there is no such rate or no such neuron, nothing changes.
        """
        # A forked generator, so that a network without such neurons sheds the same.
        with torch.random.fork_rng(devices=[]):
            sample = self._visited.sample(_FRESH)
        rates = [x.mean((0, 1)) for x in spikes_of(self._measure(*sample)[1])]
        before, network = self._policy.acting_state_dict(), self._policy.acting_network()
        head = network.any_head(self._policy.readout())
        # Only a linear readout can take over the constant output of a folded neuron.
        linear = isinstance(head, nn.Linear)
        gain = float(network.decoder.coefficients[0].sum())
        for least in FOLDED_RATES:
            if fold(network.layers, rates, least, head if linear else None, gain) == 0:
                return
            far, runs = self._measure(*sample)
            if float(far) <= REPAIRED * self.bound.bound:
                self._set_first_cost(runs)
                return
            self._policy.load_acting_state_dict(before)

    def _judge(self, progress: float) -> None:
        """Move the bound by the returns of training episodes, unless ``max_synops`` is given.

        ``kept`` stores the present weights; ``lost`` twice or more in a row restores the stored
        ones. A loss while the latest states exceed the bound does not count, and what the last
        updates repair is judged by ``finish``.
        """
        parameters = self._parameters
        self._forget_old()
        if self.halving.tries:
            self.episodes.forget()  # of weights that may not be taken
        if not self._follows_returns or self._repairs:
            return
        settling = self._share_due(progress) > 1.0 - SETTLING
        reached = self.strength.out_of_reach(parameters.updates)
        # Weights that were within the bound once show that it is not out of reach.
        if reached is not None and not settling and not (self._whole and self._within):
            above = self.bound.begin_above(reached, parameters)
            if above != self.bound:
                self.bound, self.strength = above, StrengthControl(self._first_strength)
        verdict = self.bound.judge(self.episodes.returns, parameters)
        # Shedding by the whole cost is fast: only few episodes are of nearly the present weights.
        seems = self._whole is not None and self.strength.smoothed <= self.bound.bound
        seems = seems and self.bound.seems_kept(self.episodes.returns, parameters)
        if verdict == "kept" or seems:
            self._good = self._policy.acting_state_dict()
        if verdict == "unclear":
            if seems:
                self.episodes.clear()
            return
        self.episodes.forget()
        if verdict == "lost" and self._is_unsettled():
            return
        self.bound = self.bound.step(verdict, parameters, settling)
        if self.bound.losses > 1:
            self._restore()  # a tighter bound alone did not bring the return back

    def _restore(self) -> None:
        """Go on from the stored weights."""
        steps = time_steps_in(self._policy.acting_state_dict())
        load_acting(self._policy, self._good)
        self._within, self._newer = self._good, {}
        # Its moments are of the weights that were lost.
        self._optimiser.state.clear()
        self.strength = StrengthControl(self._first_strength)
        if self._whole is not None:
            # Fewer time steps may have lost the return.
            self.halving = Halving(refused=steps != time_steps_in(self._good))
            self._set_first_cost(self._look(self._parameters.batch_size)[1])

    def _forget_old(self) -> None:
        fewest = self._parameters.episodes
        most = 3 * fewest if self._whole is not None and not self._repairs else _MOST_JUDGED
        self.episodes.forget_old(max(most, fewest))

    def _is_unsettled(self, times: float = 1.0) -> bool:
        """Return whether the divergence in the latest states exceeds so many times the bound."""
        # Then the bound is not to blame for a loss: no update has seen these states yet.
        return self._look(_FRESH, newest=True)[0] > times * self.bound.bound

    def _look(self, count: int, *, newest: bool = False) -> tuple[float, list[NetworkRun]]:
        """Return the divergence from the teacher in visited states, and the network's pass.

        About ``count`` states are drawn; with ``newest`` they are of the latest rollout, if
        rollouts are stored. The divergence is the mean over the ``worst_share`` of them. The list
        is empty for a network that does not spike. No gradients are taken.
        """
        with torch.no_grad():
            far, runs = self._measure(*self._visited.sample(count, newest=newest))
        return float(far), runs

    def _measure(self, observations: Any, target: Tensor) -> tuple[Tensor, list[NetworkRun]]:
        """Return the mean divergence over the ``worst_share`` of states, and the pass of all."""
        behaviour, runs = self._policy.observed(observations)
        heat = self.counters.temperature
        # Only a student of values is on the scale of a teacher's values.
        own = heat if self._policy.rates_actions else 1.0
        far = divergence(self._policy.action_space, target / heat, behaviour / own)
        count = max(1, round(self._parameters.worst_share * len(far)))
        return far.topk(count).values.mean(), runs

    def _cost(self, spikes: Sequence[Tensor]) -> tuple[Tensor, float]:
        """Return the cost, which is 0 where synapses alone are pruned, and the synaptic operations.

        Both are 0 for a network that does not spike: it sheds weights alone.
        """
        if not self._spikes:
            return next(iter(self._weights.values())).new_zeros(()), 0.0
        network = self._policy.acting_network()
        head = network.any_head(self._policy.readout())
        zeros = zeros_behind(list(network.layers), head)[1:]
        zeros = [x - absent for x, absent in zip(zeros, self._absent, strict=True)]
        cost, synops = spike_cost(spikes, self._fan_outs, network.config.time_steps, zeros)
        if self._parameters.signals == "prune":
            cost = torch.zeros_like(cost)
        elif self._whole is not None:
            cost = self._whole.cost(spikes, self._fan_outs)
        return cost, synops

    def _step(self) -> None:
        """Update the strength of the cost, then the weights; prune synapses."""
        parameters = self._parameters
        done = self.counters.updates / parameters.updates
        first, last = parameters.learning_rate, parameters.final_learning_rate
        self._optimiser.param_groups[0]["lr"] = first + done * (last - first)
        if self._whole is not None and self._may_halve(done):
            self._begin_halving()
        far, runs = self._measure(*self._visited.sample(parameters.batch_size))
        cost, synops = self._cost(spikes_of(runs))
        self._last = synops, float(far.detach())
        bound = self.bound.bound
        present = [] if self._whole is None else self._whole.present()
        if self.halving.tries or self._repairs:
            self._set_gradients(far / bound, torch.zeros_like(cost))
            self._only_learn(runs, present)
            return
        limited, limit, sign = self._last[1], bound, 1
        if parameters.max_synops is not None:
            # The limit is on operations: the strength grows beyond it.
            limited, limit, sign = synops, SYNOPS_MARGIN * parameters.max_synops, -1
        self.strength = self.strength.step(limited, limit, parameters.control_rate, sign)
        weight = self.strength.strength / self.counters.first_cost
        self._set_gradients(far / bound, weight * cost)
        self._descend()
        if parameters.pruning > 0:
            strength = parameters.pruning * self.strength.strength
            if self._whole is not None:
                self._whole.shed(runs, strength / self.counters.first_cost, present)
            else:
                self._prune(strength)
        self.counters.updates += 1
        if self._whole is not None:
            self._stay_within()
        elif self._measured:
            self._take_structure()  # where repairs begin, pruned synapses do not grow again

    def _only_learn(self, runs: Sequence[NetworkRun], present: Sequence[Tensor]) -> None:
        """Update the weights by the divergence, to act in fewer time steps or to repair."""
        self._descend()
        self.counters.updates += 1
        self.strength = self.strength.step(self._last[1], self.bound.bound, rate=0)
        if self.halving.tries:
            self._end_halving(runs)
        elif self._whole is not None:
            self._whole.keep(present)

    @torch.no_grad()
    def _descend(self) -> None:
        """Take a step of the optimiser, in which no synapse grows that has to be absent."""
        self._optimiser.step()
        for name, absent in self._absent_weights.items():
            self._weights[name].masked_fill_(absent, 0.0)

    def _take_structure(self) -> None:
        """Note which weights a teacher of the same layers lacks, as filters do as dense layers.

        While synapses alone are shed and the behaviour is repaired, note those that are pruned.
        """
        pruned = self._repairs and self._whole is None
        taught = (self._policy if pruned else self.teacher).acting_state_dict()
        own = self._weights
        alike = all(k in taught and taught[k].shape == x.shape for k, x in own.items())
        zero = {k: taught[k] == 0 for k, x in own.items() if alike and x.dim() > 1}
        self._absent_weights = {k: x for k, x in zero.items() if bool(x.any())}
        if self._whole is not None:
            self._whole.smoothing = _SMOOTHING if self._absent_weights else 1.0

    def _stay_within(self) -> None:
        """Store weights that stay within the bound; go back to them if the divergence does not."""
        if self.strength.smoothed > self.bound.bound:
            self.counters.beyond += 1
            self._newer = {}
            if self._whole is not None and self.counters.beyond >= _UNDONE:
                self._go_back()
            return
        self.counters.beyond = 0
        if self.counters.updates % _STAYED == 0:
            self._within = self._newer or self._within
            self._newer = self._policy.acting_state_dict()

    def _go_back(self) -> None:
        """Load the weights that stayed within the bound, if there are, and shed less."""
        if self._within:
            load_acting(self._policy, self._within)
            self._optimiser.state.clear()
            strength = self.strength.strength / 2
            self.strength = replace(self.strength, strength=strength, smoothed=self.bound.bound)
        self.counters.beyond = 0

    def _may_halve(self, done: float) -> bool:
        network, far = self._policy.acting_network(), self.strength.smoothed
        if network.spikes_enter:
            return False  # their encoder or environment gives the time steps
        halved = replace(self._policy.network, time_steps=max(1, network.config.time_steps // 2))
        if halved.needs_state and not self._policy.carries_state:
            return False
        return self.halving.may_begin(network.config.time_steps, far, self.bound.bound, done)

    def _begin_halving(self) -> None:
        self._within, self._newer = self._policy.acting_state_dict(), {}
        self._policy.set_time_steps(self._policy.network.time_steps // 2)
        self._optimiser.state.clear()
        far, _ = self._look(self._parameters.batch_size)
        self.halving = Halving(self.counters.updates, self.strength.smoothed)
        self.strength = replace(self.strength, smoothed=far)

    def _end_halving(self, runs: Sequence[NetworkRun]) -> None:
        """Accept or refuse the time steps that are tried, if it is time."""
        bound, most = self.bound.bound, self._parameters.updates
        accepted = self.halving.verdict(self.counters.updates, self.strength.smoothed, bound, most)
        if accepted is None:
            return
        if accepted:
            self._set_first_cost(runs)
        else:
            load_acting(self._policy, self._within)
            self._optimiser.state.clear()
            self.strength = replace(self.strength, smoothed=self.halving.smoothed)
        self.halving = Halving(refused=not accepted)
        self.episodes.forget()

    def _prune(self, strength: float) -> None:
        """Set the weakest weights to zero, a share ``strength / (1 + strength)``."""
        network = self._policy.acting_network()
        if self._spikes:
            prune(list(network.layers), strength, spikes_enter=network.spikes_enter)
        else:
            # Biases stay.
            prune_matrices([[x for x in self._weights.values() if x.dim() > 1]], strength)

    def _set_gradients(self, far: Tensor, cost: Tensor) -> None:
        weights = list(self._weights.values())
        gradients = torch.autograd.grad(
            far + cost, weights, allow_unused=True, materialize_grads=True
        )
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient

    def _log(self) -> None:
        for name, value in (
            ("synops", self._last[0]),
            ("divergence", self.divergence),
            ("bound", self.bound.bound),
            ("strength", self.strength.strength),
        ):
            self._model.logger.record(f"lean/{name}", value)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the state as arrays by name, for a checkpoint."""
        arrays = prefixed("played", self.episodes.arrays())
        for part in _NUMBERS:
            arrays |= prefixed(part, to_arrays(getattr(self, part)))
        parts = {"good": self._good, "teacher": self.teacher.acting_state_dict()}
        parts |= {"within": self._within, "newer": self._newer}
        for part, tensors in parts.items():
            arrays |= {f"{part}.{name}": x.cpu().numpy() for name, x in tensors.items()}
        for name, weight in self._weights.items():
            moments = self._optimiser.state.get(weight, {})
            arrays |= {f"adam.{key}.{name}": x.cpu().numpy() for key, x in moments.items()}
        if self._whole is not None:
            arrays |= prefixed("signals", self._whole.arrays())
        return arrays | prefixed("visited", self._visited.arrays())

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore the state from what the method ``arrays`` returned."""
        for part in _NUMBERS:
            numbers = with_prefix(part, arrays)
            setattr(self, part, from_arrays(getattr(self, part), numbers, type(self).__name__))
        self.episodes.load(with_prefix("played", arrays))
        self._good = _tensors(with_prefix("good", arrays))
        self._within = _tensors(with_prefix("within", arrays))
        self._newer = _tensors(with_prefix("newer", arrays))
        load_acting(self.teacher, _tensors(with_prefix("teacher", arrays)))
        self._take_structure()
        if self._whole is not None:
            self._whole.load(with_prefix("signals", arrays))
        for name, weight in self._weights.items():
            if f"adam.{_ADAM[0]}.{name}" in arrays:
                self._optimiser.state[weight] = {
                    key: torch.from_numpy(np.array(arrays[f"adam.{key}.{name}"])) for key in _ADAM
                }
        self._visited.load(with_prefix("visited", arrays))


def _absent(linear: nn.Linear) -> float:
    """Return how many dense synapses an input of a convolution lacks, on average; else 0."""
    if isinstance(linear, SharedLinear):
        return linear.out_features - linear.at.numel() / linear.in_features
    return 0.0


def _fan_outs(policy: SpikingPolicy, absent: Sequence[float]) -> list[float]:
    """Return the synapses from each neuron of a policy's layers, less those that are absent."""
    network = policy.acting_network()
    shape = (network.config.time_steps,) if network.spike_input else ()
    zeros = torch.zeros(1, *shape, network.input_size, device=policy.device)
    recording = network.record(zeros, head=policy.readout())
    layers = [x for x in recording.layers if x.name != "input"]
    return [x.fan_out - lacking for x, lacking in zip(layers, absent, strict=True)]


def acting_parameters(policy: SpikingPolicy) -> dict[str, Tensor]:
    """Return the trainable parameters of the modules that choose a policy's actions, by name."""
    return {
        f"{prefix}.{name}": x
        for prefix, module in policy.acting_modules().items()
        for name, x in module.named_parameters()
        if x.requires_grad
    }


def _tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(x.copy()) for name, x in arrays.items()}
