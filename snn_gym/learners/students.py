"""Banks of tiny networks of one family, which learn side by side to act as a teacher does.

Every tensor has a first axis for the networks, so that one product computes all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor, nn

from snn_gym.policies.behaviour import divergence
from snn_gym.program.builtin_neurons import SoftLIF
from snn_gym.program.layers import (
    Activation,
    Array,
    DenseLayer,
    GatedLayer,
    Gates,
    Layer,
    LeakyLayer,
    NeuronLayer,
)
from snn_gym.program.neuron import equations
from snn_gym.program.program import Choice, Decoder, Head, Program, compact
from snn_gym.spiking.layer_neurons import spike

Family = Literal[
    "linear", "relu", "tanh", "threshold",
    "leaky", "rectified_leaky", "rnn", "rnn_relu", "lif", "recurrent_lif", "gru",
]  # fmt: skip
"""Kind of a network's units, in one hidden layer but for ``linear``: ``threshold`` is 1 above 0,
else 0; ``leaky`` are linear leaky integrators; ``lif`` fire in one time step a decision, with a
soft reset and a potential that lasts."""
FAMILIES: tuple[Family, ...] = get_args(Family)
REMEMBERING: tuple[Family, ...] = (
    "leaky", "rectified_leaky", "rnn", "rnn_relu", "lif", "recurrent_lif", "gru",
)  # fmt: skip
"""Families whose units carry a state from decision to decision."""
SPIKING: tuple[Family, ...] = ("lif", "recurrent_lif")
"""Families of spiking units."""
_LEAKING = "leaky", "rectified_leaky", "lif", "recurrent_lif"
_LOOPED = "rnn", "rnn_relu", "recurrent_lif", "gru"
_SLOPE = 5.0  # of the surrogate gradient
_LARGEST_NORM = 5.0  # of a network's gradients
_DECISIONS = 576  # of a minibatch, about
_PRUNING_NOISE = 0.5  # standard deviation of the logarithm of importances
BURN_IN = 6
"""First decisions of a window, which only build up the state: they do not count in the loss, unless
an episode has started in the window."""
_STEEPEST = 12.0  # logit of a decay, so that neither it nor its complement rounds to 0


@dataclass(frozen=True)
class Windows:
    """Windows of L successive decisions, with the behaviour of a teacher."""

    observations: Tensor
    """(N, L, D), scaled."""
    behaviour: Tensor
    """(N, L, A)"""
    starts: Tensor
    """(N, L), bool: an episode starts there."""
    counts: Tensor
    """(N, L), from 0: weight of what is done there."""

    def __getitem__(self, chosen: Tensor) -> Windows:
        """Return some of the windows."""
        return Windows(*(x[chosen] for x in vars(self).values()))

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.starts)

    def joined(self, other: Windows) -> Windows:
        """Return the windows of both."""
        parts = zip(vars(self).values(), vars(other).values(), strict=True)
        return Windows(*(torch.cat(pair) for pair in parts))


class State(NamedTuple):
    """State of a bank's units, (M, B, H) each."""

    potential: Tensor
    output: Tensor


@dataclass(frozen=True)
class Scaling:
    """Standardisation of observations, which a program folds into its weights."""

    mean: Array
    """(D,)"""
    std: Array
    """(D,), above 0."""


def scaling_of(observations: Array) -> Scaling:
    """Return the scaling of observations (N, D); values of 0 and 1 alone stay as they are."""
    flags = np.isin(observations, (0.0, 1.0)).all(0)
    mean, std = observations.mean(0), observations.std(0)
    std = np.where(std > 1e-6 * np.maximum(np.abs(mean), 1e-6), std, 1.0)
    return Scaling(
        np.where(flags, 0.0, mean).astype(np.float32), np.where(flags, 1.0, std).astype(np.float32)
    )


def _fired(distance: Tensor) -> Tensor:
    return spike(distance, "superspike", _SLOPE)


_ACTIVATIONS: Mapping[Family, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh, "rnn": torch.tanh, "leaky": torch.positive, "threshold": _fired,
}  # fmt: skip
"""Outputs of units that do not spike; those of other families are rectified."""


class Bank(nn.Module):
    """Networks of one family, each with its own size and initial weights.

    All but ``linear`` have one hidden layer.

    Args:
        family: Kind of the units.
        sizes: Units of each of the M networks; ignored for ``linear``.
        inputs: Values D of an observation.
        space: Space of actions, discrete or a Box with limits.
        generator: Source of the initial weights.
    """

    active: Tensor
    receives: Tensor
    loops: Tensor
    reads: Tensor

    def __init__(
        self,
        family: Family,
        sizes: Sequence[int],
        inputs: int,
        space: spaces.Discrete | spaces.Box,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.family, self.space, self.inputs = family, space, inputs
        self.discrete = isinstance(space, spaces.Discrete)
        # The first of several log-odds is 0: only differences decide.
        outputs = int(space.n) - 1 if isinstance(space, spaces.Discrete) else math.prod(space.shape)
        networks = len(sizes)
        units = inputs if family == "linear" else max(sizes)
        self._gates = 3 if family == "gru" else 1
        """Sums of a unit, of which its weights follow each other gate by gate."""
        wide = self._gates * units

        def drawn(spread: float, *shape: int) -> nn.Parameter:
            return nn.Parameter(spread * torch.randn(networks, *shape, generator=generator))

        self.weights = drawn(1.5 / math.sqrt(inputs), inputs, wide)
        self.biases = drawn(0.7, wide)
        self.loop = drawn(0.3, units, wide)
        self.decay_logit = nn.Parameter(1.0 + drawn(1.5, units).detach())
        self.fall = nn.Parameter(torch.ones(networks, units))
        self.read = drawn(0.0 if family == "linear" else 0.7, units, outputs)
        self.read_biases = nn.Parameter(torch.zeros(networks, outputs))
        counts = [units if family == "linear" else size for size in sizes]
        active = (torch.arange(units) < torch.tensor(counts)[:, None]).float()
        self.register_buffer("active", active)
        self.register_buffer("receives", self._summed[:, None].repeat(1, inputs, 1))
        self.register_buffer("loops", self._summed[:, None] * active[:, :, None])
        self.register_buffer("reads", active[:, :, None].repeat(1, 1, outputs))

    @property
    def networks(self) -> int:
        """Number M of networks."""
        return len(self.active)

    @property
    def remembers(self) -> bool:
        """Whether units carry a state."""
        return self.family in REMEMBERING

    @property
    def _summed(self) -> Tensor:
        """Mask (M, G * H) of the sums of the units in use."""
        return self.active.repeat(1, self._gates)

    @property
    def decay(self) -> Tensor:
        """Share (M, H) of a potential that remains after a decision."""
        return torch.sigmoid(self.decay_logit.clamp(-_STEEPEST, _STEEPEST))

    def rest(self, batch: int) -> State:
        """Return the state of B decisions at the start of an episode."""
        zeros = self.weights.new_zeros(self.networks, batch, self.active.shape[1])
        return State(zeros, zeros)

    def step(self, values: Tensor, state: State) -> tuple[Tensor, State]:
        """Return outputs (M, B, O) for scaled observations (M, B, D), and the next state."""
        total = self._driven(values)
        if self.family == "linear":
            return self._outputs(total), state
        state = self._units(total, state, *self._carried())
        return self._outputs(state.output), state

    def _driven(self, values: Tensor) -> Tensor:
        """Return the sums (M, B, G * H) of units, of observations (M, B, D) or (B, D)."""
        if self.family == "linear":
            return values.expand(self.networks, -1, -1)
        weights, biases = self.weights * self.receives, (self.biases * self._summed)[:, None]
        if values.dim() == 3:
            return torch.baddbmm(biases, values, weights)
        together = values @ weights.transpose(0, 1).flatten(1)  # one product for all networks
        return together.view(len(values), self.networks, -1).transpose(0, 1) + biases

    def _carried(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return decay (M, 1, H), synapses between units (M, H, G * H) and falls (M, 1, H)."""
        falls = self.fall.clamp(min=1e-3)[:, None]
        return self.decay[:, None], self.loop * self.loops, falls

    def _outputs(self, hidden: Tensor) -> Tensor:
        """Return outputs (M, B, O) for the units' outputs (M, B, H)."""
        outputs = torch.baddbmm(self.read_biases[:, None], hidden, self.read * self.reads)
        if self.discrete:
            outputs = torch.cat([torch.zeros_like(outputs[..., :1]), outputs], dim=-1)
        return outputs

    def _units(
        self, total: Tensor, state: State, decay: Tensor, loop: Tensor, falls: Tensor
    ) -> State:
        """Return the units' next state for the sums (M, B, G * H) of their inputs."""
        if self.family == "gru":
            return _gated(total, torch.bmm(state.output, loop), state.output)
        if self.family in _LOOPED:
            total = torch.baddbmm(total, state.output, loop)
        if self.family in _LEAKING:
            total = torch.addcmul(total, decay, state.potential)
        potential = total
        if self.family in SPIKING:
            output = _fired(total - 1.0)
            potential = torch.addcmul(total, output, falls, value=-1.0)
        else:
            output = _ACTIVATIONS.get(self.family, torch.relu)(total)
        return State(potential, output)

    def forward(self, windows: Windows) -> tuple[Tensor, Tensor]:
        """Return outputs (M, B, L, O) along windows, and the units' outputs (M, B, L, H)."""
        batch, steps, _ = windows.observations.shape
        total, state = self._driven(windows.observations.flatten(0, 1)), self.rest(batch)
        if self.family == "linear":
            hidden = total
        elif not self.remembers:
            hidden = self._units(total, state, *self._carried()).output
        else:
            carried, active = self._carried(), []
            for now, starts in zip(
                total.view(self.networks, batch, steps, -1).unbind(2),
                windows.starts.unbind(1),
                strict=True,
            ):
                if starts.any():
                    state = State(*(x * ~starts[:, None] for x in state))
                state = self._units(now, state, *carried)
                active.append(state.output)
            hidden = torch.stack(active, dim=2).flatten(1, 2)
        shape = (self.networks, batch, steps, -1)
        return self._outputs(hidden).view(shape), hidden.reshape(shape)

    def losses(self, windows: Windows) -> Tensor:
        """Return each network's mean divergence (M,) from the teacher, weighted by what counts.

        Networks with a state skip the first ``BURN_IN`` decisions, unless an episode starts there.
        """
        known = windows.starts.cumsum(1) > 0
        known[:, BURN_IN if self.remembers else 0 :] = True
        counted = known & (windows.counts > 0)
        made, weights = self(windows)[0][:, counted], windows.counts[counted]
        wanted = windows.behaviour[counted].expand(self.networks, -1, -1)
        far = divergence(self.space, wanted.flatten(0, 1), made.flatten(0, 1))
        return far.view(self.networks, -1) @ weights / weights.sum()

    # ---- pruning ---------------------------------------------------------------------------------
    @torch.no_grad()
    def prune(self, share: float, windows: Windows, generator: torch.Generator) -> None:
        """Keep that share of each network's synapses from observations.

        Of those between units, and from units to outputs, fewer go: half as large a share. A
        synapse's importance is its weight's size, times the root mean square of its source along
        the windows, times the size of the weights from its target to the outputs. Synapses onto the
        outputs have no last factor. A random factor makes networks lose different synapses.
        """
        spread_in = windows.observations.square().mean((0, 1)).sqrt()
        spread = self(windows)[1].square().mean((1, 2)).sqrt()
        behind = (self.read * self.reads).norm(dim=2)
        if self.family in _LOOPED:  # units act through others, too
            behind = torch.maximum(behind, 0.05 * behind.amax(1, keepdim=True))
        behind = (behind * self.active).repeat(1, self._gates)
        kinds = {"reads": self.read.abs() * spread[:, :, None]}
        if self.family != "linear":
            kinds["receives"] = self.weights.abs() * spread_in[:, None] * behind[:, None]
        if self.family in _LOOPED:
            kinds["loops"] = self.loop.abs() * spread[:, :, None] * behind[:, None]
        for name, sizes in kinds.items():
            drawn = torch.exp(_PRUNING_NOISE * torch.randn(sizes.shape, generator=generator))
            kept = share if name == "receives" or self.family == "linear" else (1.0 + share) / 2
            mask = getattr(self, name)
            for own, importance in zip(mask, sizes * drawn * mask, strict=True):
                count = max(1, round(kept * int((importance > 0).sum())))
                least = importance.flatten().topk(count).values[-1]
                own.copy_((importance >= least) & (importance > 0))
        self.active *= self.reads.any(2) | (self.family in _LOOPED and self.loops.any(2))

    # ---- evolution -------------------------------------------------------------------------------
    def copies(self, network: int, count: int = 1) -> Bank:
        """Return a bank of copies of one network."""
        made = deepcopy(self)
        for x in (*made.parameters(), *made.buffers()):
            x.data = x.data[network : network + 1].repeat(count, *(1,) * (x.dim() - 1))
        return made

    @property
    def synapses(self) -> bytes:
        """Synapses of the first network, as a key."""
        return b"".join(mask[0].numpy().tobytes() for _, mask in self._free())

    @torch.no_grad()
    def numbers(self) -> NDArray[np.float64]:
        """Return the numbers (M, K) of networks that have the first one's synapses."""
        parts = [x[:, mask[0]] for x, mask in self._free()]
        return torch.cat(parts, dim=1).double().numpy()

    @torch.no_grad()
    def load_numbers(self, numbers: NDArray[np.float64]) -> None:
        """Set the numbers (M, K) of networks that have the same synapses."""
        first = 0
        for x, mask in self._free():
            last = first + int(mask[0].sum())
            x[:, mask[0]] = torch.from_numpy(numbers[:, first:last]).float()
            first = last

    def _free(self) -> list[tuple[nn.Parameter, Tensor]]:
        """Return the parameters that the family reads, each with a mask of those in use."""
        hidden = self.family != "linear"
        parts = (
            (self.read, self.reads, True),
            (self.read_biases, torch.ones_like(self.read_biases), True),
            (self.weights, self.receives, hidden),
            (self.biases, self._summed, hidden),
            (self.loop, self.loops, self.family in _LOOPED),
            (self.decay_logit, self.active, self.family in _LEAKING),
            (self.fall, self.active, self.family in SPIKING),
        )
        return [(numbers, mask.bool()) for numbers, mask, used in parts if used]

    # ---- programs --------------------------------------------------------------------------------
    @torch.no_grad()
    def program(self, network: int, scaling: Scaling, rows_per_step: int = 0) -> Program:
        """Return a network as a program, without parts that do nothing.

        Args:
            network: Its place, 0 to M - 1.
            scaling: Scaling of observations, which goes into the weights.
            rows_per_step: Rows of an observed spike train, all of which enter together; 0 for
                observations that are no spike train.
        """
        own = {x: y[network].numpy().astype(np.float64) for x, y in self._masked().items()}
        head, biases = own["read"].T, own["read_biases"]
        layers: tuple[Layer, ...] = ()
        if self.family == "linear":
            head = head / scaling.std
            biases = biases - head @ scaling.mean
        else:
            weights = own["weights"] / scaling.std[:, None]
            shifted = own["biases"] - scaling.mean @ weights
            layers = (self._layer(weights, shifted, own),)
        spikes = self.family in SPIKING
        whole = Program(
            inputs=self.inputs,
            encoder="spikes" if rows_per_step else "constant",
            rows_per_step=max(1, rows_per_step),
            normalisers=(),
            layers=layers,
            time_steps=1,
            decoder=Decoder(_f(np.ones((1, 1))), _f(np.zeros((1, 0)))) if spikes else None,
            head=Head(*self._acting(head, biases)),
            choice=self._choice(),
            stateful=self.remembers,
        )
        return compact(whole)

    def _masked(self) -> dict[str, Tensor]:
        return {
            "weights": self.weights * self.receives,
            "biases": self.biases * self._summed,
            "loop": self.loop * self.loops,
            "decay": self.decay,
            "fall": self.fall.clamp(min=1e-3),
            "read": self.read * self.reads,
            "read_biases": self.read_biases,
        }

    def _layer(
        self, weights: NDArray[np.float64], biases: NDArray[np.float64],
        own: dict[str, NDArray[np.float64]],
    ) -> Layer:  # fmt: skip
        """Return the hidden layer of one network."""
        if self.family in ("leaky", "rectified_leaky"):
            rectified = self.family == "rectified_leaky"
            return LeakyLayer(_f(weights), _f(biases), _f(own["decay"]), rectified=rectified)
        if self.family in ("rnn", "rnn_relu", "gru"):
            gates, none = cast("Gates", self.family), np.zeros_like(biases)
            return GatedLayer(gates, _f(weights), _f(biases), _f(own["loop"]), _f(none))
        if self.family in SPIKING:
            # The text of the neuron multiplies its inputs by the gain of the membrane.
            gain = 1.0 - own["decay"]
            values = {"mem_gain": gain, "v_threshold": np.ones_like(gain), "v_fall": own["fall"]}
            constants = np.stack([values[x] for x in equations(SoftLIF).constants])
            loop = _f(own["loop"] / gain) if self.family == "recurrent_lif" else None
            rest = _f(np.zeros((1, len(gain))))
            return NeuronLayer(
                SoftLIF, _f(constants), _f(weights / gain), _f(biases / gain), loop, rest
            )
        return DenseLayer(cast("Activation", self.family), _f(weights), _f(biases))

    def _acting(
        self, head: NDArray[np.float64], biases: NDArray[np.float64]
    ) -> tuple[Array, Array]:
        """Return the head's weights (O, N) and biases (O,) in the units of actions."""
        if self.discrete:
            first = np.zeros((1, head.shape[1]))
            return _f(np.vstack([first, head])), _f(np.concatenate([[0.0], biases]))
        assert isinstance(self.space, spaces.Box)
        low, high = (x.astype(np.float64).ravel() for x in (self.space.low, self.space.high))
        half = (high - low) / 2
        return _f(half[:, None] * head), _f((low + high) / 2 + half * biases)

    def _choice(self) -> Choice:
        if isinstance(self.space, spaces.Discrete):
            return Choice("argmax", _f(np.zeros(0)), _f(np.zeros(0)))
        return Choice("clip", _f(self.space.low.ravel()), _f(self.space.high.ravel()))


def _gated(total: Tensor, looped: Tensor, before: Tensor) -> State:
    """Return the state of gated recurrent units, by the equations of PyTorch's ``GRU``."""
    (reset, update, new), (of_reset, of_update, of_new) = total.chunk(3, -1), looped.chunk(3, -1)
    made = torch.tanh(new + torch.sigmoid(reset + of_reset) * of_new)
    output = made + torch.sigmoid(update + of_update) * (before - made)
    return State(output, output)


def _f(array: NDArray[Any]) -> Array:
    return np.ascontiguousarray(array, dtype=np.float32)


def fit(
    bank: Bank,
    windows: Windows,
    updates: int,
    step_size: float,
    generator: torch.Generator,
) -> Tensor:
    """Lower every network's divergence from the teacher along windows.

    Adam's step size rises over 30 updates, then falls by a half cosine to 3 %. The gradients of
    each network are clipped to a norm of 5, and are 0 where they are not finite.

    Args:
        bank: The networks, which change.
        windows: Windows of the teacher's behaviour.
        updates: Number of updates.
        step_size: Largest step size of Adam.
        generator: Source of the minibatches.

    Returns:
        Divergence (M,) of the last minibatch, nat.
    """
    optimiser = torch.optim.Adam(bank.parameters(), lr=step_size)
    far = torch.zeros(bank.networks)
    batch = max(1, _DECISIONS // windows.starts.shape[1])
    for update in range(updates):
        falling = 0.03 + 0.97 * 0.5 * (1.0 + math.cos(math.pi * update / updates))
        optimiser.param_groups[0]["lr"] = step_size * min(1.0, (update + 1) / 30) * falling
        chosen = torch.randint(len(windows), (batch,), generator=generator)
        far = bank.losses(windows[chosen])
        optimiser.zero_grad()
        far.sum().backward()  # type: ignore[no-untyped-call]
        _clip(bank)
        optimiser.step()
    return far.detach()


def _clip(bank: Bank) -> None:
    """Clip the gradients of each network; those that are not finite become 0."""
    gradients = [x.grad for x in bank.parameters() if x.grad is not None]
    squares = torch.stack([x.flatten(1).square().sum(1) for x in gradients]).sum(0)
    factors = (_LARGEST_NORM / squares.sqrt().clamp(min=1e-12)).clamp(max=1.0)
    for gradient in gradients:
        shape = (-1,) + (1,) * (gradient.dim() - 1)
        finite = torch.isfinite(squares).view(shape)
        gradient.copy_(torch.where(finite, gradient * factors.view(shape), 0.0))
