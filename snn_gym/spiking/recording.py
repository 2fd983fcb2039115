"""``Recording`` of a forward pass, for learners, metrics, plots and logs, and its operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from snn_gym.program.costs import EXTRACTOR, Costs, Counter
from snn_gym.spiking.decoders import PopulationHead
from snn_gym.spiking.layer_neurons import Run
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.spiking_layer import SpikingLayer, dense_synapses


# ---- recording -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class LayerRecording:
    """One layer over the time steps of a decision."""

    name: str
    """``input`` for an encoder's or environment's spikes, else ``hidden_1``, ``hidden_2``, ...,
    and ``output`` for the populations of the decoder ``population``."""
    spikes: Tensor
    """(T, B, N) float32, 0 or 1."""
    voltages: Tensor | None
    """(T, B, N) membrane potential compared with the threshold, before the reset; None for the
    input and for modules of other libraries."""
    fan_out: int
    """Synapses from each neuron, recurrent synapses included."""
    v_threshold: float | Tensor | None = None
    """Firing threshold, (T, B, N) where it adapts; None where there is none, as of the input."""

    def spikes_per_decision(self) -> float:
        """Return the mean number of spikes of the layer in one decision."""
        return float(self.spikes.detach().sum(dtype=torch.float64)) / self.spikes.shape[1]


@dataclass(frozen=True)
class Recording:
    """A forward pass of a network on a batch of observations."""

    layers: tuple[LayerRecording, ...]
    """Spiking layers from the input side; empty for a network that does not spike."""
    output: Tensor
    """(B, outputs) float32, output of the network."""
    dt_ms: float
    """Length of a time step (ms)."""
    costs: Costs = field(default_factory=Costs)
    """Costs of a decision, mean over the batch."""

    def __getitem__(self, name: str) -> LayerRecording:
        """Return the layer of that name.

        Raises:
            KeyError: There is no such layer.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        known = ", ".join(layer.name for layer in self.layers) or "none: the network does not spike"
        raise KeyError(f"no layer {name!r}; recorded layers: {known}")

    def spikes_per_decision(self) -> dict[str, float]:
        """Return the mean number of spikes in one decision, by layer."""
        return self.costs.spikes_per_decision

    def synops_per_decision(self) -> dict[str, float]:
        """Return the mean number of synaptic operations in one decision, by layer."""
        return self.costs.synops_per_decision

    def macs_per_decision(self) -> dict[str, float]:
        """Return the multiply-accumulates of one decision, by layer."""
        return self.costs.macs_per_decision


# ---- counting ------------------------------------------------------------------------------------
AnyHead = nn.Linear | PopulationHead
"""A linear head, as ``make_head`` makes it."""


def fan_out_of(head: AnyHead | None) -> int:
    """Return the synapses from each neuron to outputs: 1 in populations, 0 without a head."""
    if head is None:
        return 0
    return 1 if isinstance(head, PopulationHead) else head.out_features


def _zeros_of(head: AnyHead) -> Tensor:
    """Return the synapses of weight zero from each neuron to outputs, (N,) int64."""
    absent = head.weight.detach() == 0
    return absent.flatten().long() if isinstance(head, PopulationHead) else absent.sum(0)


def layer_names(config: NetworkConfig, layers: Sequence[SpikingLayer]) -> list[str]:
    """Return the names of layers in recordings; ``output`` follows the hidden layers."""
    hidden = config.depth
    return [f"hidden_{k + 1}" if k < hidden else "output" for k in range(len(layers))]


def zeros_behind(layers: Sequence[SpikingLayer], head: AnyHead | None) -> list[Tensor]:
    """Count synapses of weight zero per sender, (N,) int64: input channels, then each layer."""
    behind = [(dense_synapses(x.linear)[0] == 0).sum(0) for x in layers]
    last = layers[-1].linear.weight
    behind.append(
        last.new_zeros(layers[-1].size, dtype=torch.int64) if head is None else _zeros_of(head)
    )
    for k, layer in enumerate(layers, start=1):
        if layer.recurrent is not None:
            behind[k] = behind[k] + (layer.recurrent.weight == 0).sum(0)
    return behind


def record_layers(
    config: NetworkConfig,
    layers: Sequence[SpikingLayer],
    runs: Sequence[Run],
    signal: Tensor | None,
    head: AnyHead | None,
) -> list[LayerRecording]:
    """Return the recordings of all layers, and of ``signal`` (T, B, channels) if it spikes."""
    names = layer_names(config, layers)
    targets = [*(layer.size for layer in layers[1:]), fan_out_of(head)]
    recordings = []
    if signal is not None:
        recordings.append(LayerRecording("input", signal, None, layers[0].size))
    for k, (layer, run) in enumerate(zip(layers, runs, strict=True)):
        recording = LayerRecording(
            name=names[k],
            spikes=run.spikes,
            voltages=run.voltages,
            fan_out=targets[k] + (0 if layer.recurrent is None else layer.size),
            v_threshold=layer.neuron.thresholds(run.spikes, run.entered),
        )
        recordings.append(recording)
    return recordings


# ---- operations ----------------------------------------------------------------------------------
_FREE = """
add sub rsub neg abs maximum minimum max amax clamp where eq ne lt gt le ge relu tanh sigmoid elu
gelu silu leaky_relu hardtanh softplus avg_pool1d avg_pool2d max_pool2d_with_indices mean sum cat
_adaptive_avg_pool2d stack clone copy _to_copy zeros zeros_like full empty arange unsafe_split
_unsafe_view
"""
"""Operations of PyTorch without products: sums, comparisons, activations, pooling and copies."""
_SUMS = "mm addmm bmm baddbmm addbmm mv addmv dot vdot addr convolution"  # of products
_UNITS: Mapping[type[nn.Module], int] = {
    **dict.fromkeys((nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d), 0),
    **dict.fromkeys((nn.RNNCell, nn.GRUCell, nn.RNN, nn.GRU), 1),
    nn.LSTMCell: 2,
}
"""Modules whose outputs are units, with the state variables of a unit."""


class Operations(TorchDispatchMode, TorchFunctionMode):  # type: ignore[no-untyped-call]
    """Sums of the operations that PyTorch runs while this mode is entered."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = self.products = self.biases = 0.0
        self.units: dict[int, float] = {}
        """Updates of units by their number of state variables."""
        # Outputs of sums of products; whether the products of an operation are not known; whether
        # code outside of PyTorch has read values.
        self.outputs, self.unknown, self.outside = 0, False, False

    def __enter__(self) -> Operations:
        TorchFunctionMode.__enter__(self)  # type: ignore[no-untyped-call]
        TorchDispatchMode.__enter__(self)  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: object) -> None:
        TorchDispatchMode.__exit__(self, *error)  # type: ignore[no-untyped-call]
        TorchFunctionMode.__exit__(self, *error)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.outside |= getattr(func, "__name__", "") in (
            "numpy",
            "__array__",
            "tolist",
            "__dlpack__",
        )
        return func(*args, **(kwargs or {}))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__.rstrip("_")
        self.outputs += result.numel() if name in _SUMS.split() else 0
        if name in ("mm", "addmm"):
            one, two = (x != 0 for x in args[-2:])
            self.macs += float((one.sum(0).double() * two.sum(1)).sum())
            self.biases += result.numel() * (name == "addmm")
        elif name == "convolution":
            one, two = ((x != 0).double() for x in args[:2])
            self.macs += float(func(one, two, None, *args[3:]).sum())
            self.biases += result.numel() * (args[2] is not None)
        elif name in ("mul", "div"):
            self.products += float((result != 0).sum())
        elif not func.is_view and name not in _FREE.split():
            self.unknown = True
        return result

    def updated(self, module: nn.Module, _: Any, output: Any) -> None:
        """Count the units of a module's output as updated."""
        units = output[0] if isinstance(output, tuple) else output
        variables = _UNITS[type(module)]
        self.units[variables] = self.units.get(variables, 0.0) + units.numel()

    def count(self, counter: Counter) -> None:
        """Add the sums to a counter of the same decisions."""
        if self.macs or self.products:
            counter.macs(EXTRACTOR, self.macs)
            counter.add("macs_per_decision", EXTRACTOR, self.products / counter.batch)
        counter.parameters(EXTRACTOR, self.biases / counter.batch)
        for variables, number in self.units.items():
            counter.updates(EXTRACTOR, number / counter.batch, variables)


@contextmanager
def counted_extractor(extractor: nn.Module) -> Iterator[Operations]:
    """Return a context that counts the operations of a features extractor, however it is made."""
    counted = Operations()

    def begin(*_: Any) -> None:
        counted.__enter__()

    def end(*_: Any) -> None:
        counted.__exit__(None, None, None)

    hooks = [
        extractor.register_forward_pre_hook(begin),
        extractor.register_forward_hook(end, always_call=True),
        *(
            module.register_forward_hook(counted.updated)
            for module in extractor.modules()
            if type(module) in _UNITS
        ),
    ]
    try:
        yield counted
    finally:
        for hook in hooks:
            hook.remove()
