"""The cost of a network's spikes, and its gradient, by which they are shed.

With the rate ``f_j`` of neuron j (spikes per time step, mean over decisions) and the fan-out of its
layer, a decision of T time steps costs

    C = sum over layers of fan_out T sum_j (f_j / 2 + f_j^2),

half of its synaptic operations and as much again where a neuron fires at every other time step: a
square spares those that say much with few spikes and takes from those that fire all the time, as in
the rate regulariser of e-prop (Bellec et al. 2020, https://doi.org/10.1038/s41467-020-17236-y).
A layer with less than one spike in a decision costs nothing, so that none falls silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from snn_gym.spiking.layers import SpikingLayer
from snn_gym.spiking.regulation.parameters import Signals
from snn_gym.spiking.regulation.penalties import shuffled_order

# ---- folding -------------------------------------------------------------------------------------
# Folding: neurons that fire at nearly every time step become biases of what they drive.
#
# A neuron that fires at every time step tells those after it the same in every state, as a bias
# does, at the price of all its synapses. Its weights can be added to their biases and the neuron
# be silenced, and nothing else changes: constant folding, as compilers do it with expressions
# (Aho et al. 2006, Compilers, section 9.4). A gradient does not find this way: such a neuron's
# potential lies far above the threshold, where the surrogate gradient is next to nothing, and
# halfway down it says something else in every state. Of a neuron that fires at nearly every time
# step the mean is added.
FOLDED_RATES = 0.95, 0.98, 1.0
"""Rates (spikes per time step) from which on neurons are folded, the first that behaviour bears."""
REPAIRED = 10.0
"""Divergence that folding may make, in units of the bound: the updates after it undo as much."""


@torch.no_grad()
def fold(
    layers: Sequence[SpikingLayer],
    rates: Sequence[Tensor],
    least: float,
    head: nn.Linear | None,
    gain: float,
) -> int:
    """Fold neurons that fire at nearly every time step, in place.

    Exact for neurons that always fire, but for the first step of a recurrent layer's episode,
    before which nothing has fired.

    Args:
        layers: Spiking layers, from the input side.
        rates: (N,) spikes per time step of each neuron of a layer, 0 to 1.
        least: Rate from which on a neuron is folded.
        head: Linear readout of the last layer, None where it is not linear: none of that layer is
            folded.
        gain: What the head's decoder makes of a neuron that fires at every time step.

    Returns:
        The number of neurons that were folded.
    """
    readers = [*(layer.linear for layer in layers[1:]), head]
    gains = [*(1.0 for _ in layers[1:]), gain]
    count = 0
    for layer, rate, reader, share in zip(layers, rates, readers, gains, strict=True):
        folded = rate >= least
        if reader is None or not folded.any():
            continue
        count += int(folded.sum())
        mean = torch.where(folded, rate, torch.zeros_like(rate))
        reader.bias.add_(reader.weight @ (share * mean))
        if layer.recurrent is not None:
            layer.linear.bias.add_(layer.recurrent.weight @ mean)
        _silence(layer, folded)
    return count


def _silence(layer: SpikingLayer, neurons: Tensor) -> None:
    """Take all input from some neurons (N,) of a layer, so that they rest."""
    layer.linear.bias[neurons] = 0.0
    for synapses in (layer.linear, layer.recurrent):
        if synapses is not None:
            synapses.weight[neurons] = 0.0


# ---- cost of spikes ------------------------------------------------------------------------------
REDIRECTED: tuple[Signals, ...] = ("shuffled", "uniform", "scale")
"""Signals by which neurons are told another gradient of the cost than its own."""
LEAST_SPIKES = 1.0
"""Spikes of a layer in a decision below which they cost nothing."""


def spike_cost(
    spikes: Sequence[Tensor],
    fan_outs: Sequence[int],
    time_steps: int,
    zeros: Sequence[Tensor] | None = None,
) -> tuple[Tensor, float]:
    """Return what the spikes of a network cost, for its gradient, and what they are.

    Args:
        spikes: (L * T, B, N) of each layer, 0 or 1.
        fan_outs: Synapses that leave each neuron of a layer.
        time_steps: T.
        zeros: (N,) of each layer, how many of these synapses have the weight zero; None for none.

    Returns:
        The cost, differentiable, as if no weight were zero: a price that fell with the synapses
        would let the spikes come back. And the synaptic operations of a decision, without those
        synapses.
    """
    cost, synops = spikes[0].new_zeros(()), 0.0
    for k, (fired, fan_out) in enumerate(zip(spikes, fan_outs, strict=True)):
        rates = fired.mean((0, 1))
        count = time_steps * float(rates.detach().sum())
        synops += count * fan_out
        if zeros is not None:
            synops -= time_steps * float((rates.detach() * zeros[k]).sum())
        price = fan_out * time_steps if count >= LEAST_SPIKES else 0
        cost = cost + price * (rates / 2 + rates.square()).sum()
    return cost, synops


def decay_cost(weights: Iterable[Tensor]) -> Tensor:
    """Return half the sum of squares of some weights, the cost to which spikes are nothing."""
    return torch.stack([x.square().sum() / 2 for x in weights]).sum()


def redirect(
    gradients: dict[str, Tensor], orders: dict[str, Tensor], signals: Signals
) -> dict[str, Tensor]:
    """Return gradients of the cost as a control sees them.

    A row of a layer's weights is a neuron's synapses, so that its gradient is the whole of what a
    neuron is told: cost times surrogate gradient times input.

    Args:
        gradients: Gradient of each parameter by name, (N, ...).
        orders: Of each parameter of a spiking layer whose neuron takes whose place, (N,) int64;
            gradients of all others stay.
        signals: ``shuffled`` permutes rows, ``uniform`` averages them, ``scale`` does so for
            thresholds, biases and other numbers of a neuron and tells its synapses nothing; all
            others change nothing.
    """
    if signals not in REDIRECTED:
        return gradients
    changed = dict(gradients)
    for name in orders.keys() & gradients.keys():
        rows = gradients[name]
        if signals == "shuffled":
            changed[name] = rows[orders[name].to(rows.device)]
        elif signals == "scale" and rows.dim() > 1:
            changed[name] = torch.zeros_like(rows)
        else:
            changed[name] = rows.mean(0, keepdim=True).expand_as(rows)
    return changed


def prune(layers: Sequence[SpikingLayer], strength: float, *, spikes_enter: bool) -> None:
    """Set the weakest synapses that spikes pass into each layer to zero, in place.

    What a synapse adds to the variance of a current is the square of its weight times the variance
    of its spikes, and what it costs grows with these too, so that the weakest do least for what
    they cost, whatever their neurons' rates.

    Magnitude pruning (Han et al. 2015, https://arxiv.org/abs/1506.02626), after every update, as in
    iterative hard thresholding (Blumensath and Davies 2009, https://arxiv.org/abs/0805.0510): a
    synapse that was pruned follows its gradient like any other and comes back, from zero, once it
    is not among the weakest any more, because it has grown or because fewer are pruned.

    Args:
        layers: Spiking layers, of which synapses from other layers and from the same one are pruned
            apart; biases stay.
        strength: Synapses that are zero for each that is left, at least 0.
        spikes_enter: Whether spikes enter the first layer; its synapses stay where a current does,
            whose products are made once in a decision.
    """
    share = strength / (1.0 + strength)
    with torch.no_grad():
        for k, layer in enumerate(layers):
            for part in (layer.linear if k > 0 or spikes_enter else None, layer.recurrent):
                if part is not None:
                    part.weight.copy_(pruned(part.weight, share))


def pruned(weight: Tensor, share: float) -> Tensor:
    """Return weights of which a share, those of the smallest magnitude, is zero.

    Args:
        weight: Weights of any shape.
        share: 0 to 1.
    """
    count = int(share * weight.numel())
    if count == 0:
        return weight
    magnitudes = weight.abs()
    weakest = magnitudes.flatten().kthvalue(count).values
    return weight.masked_fill(magnitudes <= weakest, 0.0)


def neurons_of(parameters: dict[str, Tensor], layers: Sequence[SpikingLayer]) -> dict[str, int]:
    """Return the number of neurons of every parameter, by name, whose rows are neurons'.

    Args:
        parameters: Parameters by name.
        layers: Spiking layers, whose synapses, biases and learned constants these may be.
    """
    sizes = {id(x): layer.size for layer in layers for x in layer.parameters()}
    return {
        name: sizes[id(x)]
        for name, x in parameters.items()
        if id(x) in sizes and x.dim() > 0 and len(x) == sizes[id(x)]
    }


def shuffled_orders(sizes: dict[str, int], seed: int) -> dict[str, Tensor]:
    """Return a cycle for the parameters of each number of neurons: none keeps its own place.

    Args:
        sizes: Neurons of each parameter, by name.
        seed: Of the permutations.
    """
    orders = {
        size: shuffled_order(size, torch.Generator().manual_seed(seed))
        for size in set(sizes.values())
    }
    return {name: orders[size] for name, size in sizes.items()}
