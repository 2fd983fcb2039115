"""Your own PyTorch module as a network: snnTorch's, SpikingJelly's, Norse's or a plain one.

The module stays code of yours. Every pass forgets its state, before and after, so that no graph of
an earlier minibatch is left in it. Spikes are seen by forward hooks.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from snn_gym._base.names import did_you_mean
from snn_gym.program.costs import READOUT, Costs, Counter
from snn_gym.program.encoders import BaseEncoder, SpikeEncoder
from snn_gym.spiking.config import LearnablePopulationParameters, NetworkConfig
from snn_gym.spiking.execution import NetworkRun, Observer
from snn_gym.spiking.layer_neurons import Run, as_array
from snn_gym.spiking.network import EncodedNetwork
from snn_gym.spiking.norse import make_picklable
from snn_gym.spiking.recording import LayerRecording, Recording

# ---- configuration -------------------------------------------------------------------------------
READOUTS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda outputs: outputs.mean(0),
    "last": lambda outputs: outputs[-1],
    "max": lambda outputs: outputs.amax(0),
}
"""Readouts of a module's outputs (T, B, F) by name."""


@dataclass(frozen=True)
class ModuleConfig:
    """A PyTorch module as the network of a policy, in place of ``NetworkConfig``.

    The module takes one time step, ``module(x)`` or ``module(x, state) -> (output, state)``, x (B,
    D), and is called ``time_steps`` times; or all of them, x (T, B, D), in one call; or it runs
    them by itself and returns (T, B, F). A policy copies the module, whose weights are the initial
    ones, and reads the copy by a linear head of its own.

    Args:
        module: The module, or a function without arguments that makes one, which every network of a
            policy calls.
        time_steps: Time steps of a decision, T; a spike train or a module that runs its time steps
            by itself has its own.
        encoder: ``constant`` for observations that are held, or an encoder of spikes as in
            ``NetworkConfig``: ``rate``, ``latency``, ``population`` or a registered one.
        encoder_parameters: Parameters of the encoder; None for its defaults.
        readout: Value that the head reads: the ``mean`` over the time steps of the module's output
            (rates where its last layer spikes, else potentials or currents), its ``last`` or its
            ``max``.
        membrane: Whether that output is the second one, of modules that return (spikes, potential)
            as snnTorch's do.
        sequence: Whether the module takes all time steps in one call. None: if it has a multi-step
            module of SpikingJelly or a module of Norse with time.

    Raises:
        ValueError: An argument is of another kind or unknown.
    """

    module: nn.Module | Callable[[], nn.Module]
    time_steps: int = 8
    encoder: str = "constant"
    encoder_parameters: BaseEncoder | Mapping[str, Any] | None = None
    readout: str = "mean"
    membrane: bool = False
    sequence: bool | None = None

    def __post_init__(self) -> None:
        """Check the arguments."""
        if not callable(self.module):
            raise ValueError(
                "module must be a torch.nn.Module or a function that makes one, got "
                f"{self.module!r}"
            )
        if self.readout not in READOUTS:
            near = did_you_mean(str(self.readout), READOUTS)
            raise ValueError(
                f"readout {self.readout!r} is unknown{near} allowed: {', '.join(READOUTS)}"
            )
        if isinstance(self.network.encoder_parameters, LearnablePopulationParameters):
            raise ValueError(
                f"encoder {self.encoder!r} learns within NetworkConfig alone; use 'population'"
            )
        if "norse" in sys.modules:
            make_picklable()

    @property
    def network(self) -> NetworkConfig:
        """Time steps and encoder; hidden sizes are those of a critic that does not spike."""
        values = {name: getattr(self, name) for name in ("time_steps", "encoder")}
        return NetworkConfig(**values, encoder_parameters=self.encoder_parameters)  # type: ignore[arg-type]

    def make(self) -> nn.Module:
        """Return a copy of the module, at rest, or a new one of the function."""
        if isinstance(self.module, nn.Module):
            forget(self.module)  # a graph can't be copied
            return deepcopy(self.module)
        made = self.module()
        if not isinstance(made, nn.Module):
            raise ValueError(
                f"the function of a network must return a torch.nn.Module, got "
                f"{type(made).__name__}"
            )
        return made


def module_config(network: Any) -> ModuleConfig | None:
    """Return the argument ``network`` of a policy as a ``ModuleConfig``; None if it is none."""
    return ModuleConfig(network) if callable(network) else (
        network if isinstance(network, ModuleConfig) else None
    )  # fmt: skip


def forget(module: nn.Module) -> None:
    """Reset the state of all parts, by ``reset_mem`` as in snnTorch or ``reset`` as elsewhere."""
    for part in module.modules():
        reset = getattr(part, "reset_mem", None) or getattr(part, "reset", None)
        if callable(reset):
            reset()


# ---- form ----------------------------------------------------------------------------------------
_ROWS = 11  # of a probe: no usual number of time steps or channels
_MARKS = ("reset_mem", "surrogate_function", "state_fallback")
"""Attributes of neurons in snnTorch, SpikingJelly and Norse."""
_SYNAPSES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Modules whose products are counted."""


def _is_sequential(module: nn.Module) -> bool:
    """Tell whether a module of SpikingJelly or Norse takes all time steps in one call."""
    multi = any(getattr(x, "step_mode", None) == "m" for x in module.modules())
    bases = (kind for x in module.modules() for kind in type(x).__mro__)
    timed = ("SNN", "SNNRecurrent", "Lift")
    return multi or any(
        x.__name__ in timed and x.__module__.startswith("norse.torch.") for x in bases
    )


def _passes_state(module: nn.Module) -> bool:
    """Tell whether a module takes its state as second argument, which is None at rest."""
    parameters = list(inspect.signature(module.forward).parameters.values())
    return len(parameters) > 1 and parameters[1].default is None


def is_binary(values: Tensor) -> bool:
    """Return whether all values are 0 or 1."""
    return bool(((values == 0) | (values == 1)).all())


def is_neuron(module: nn.Module) -> bool:
    """Return whether a module is a neuron of snnTorch, SpikingJelly or Norse."""
    return any(hasattr(module, mark) for mark in _MARKS)


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple | list) else result


class _Spiking:
    """Search for the modules whose outputs are spikes, in the order in which they first fire."""

    def __init__(self) -> None:
        self.timed: set[str] = set()
        """Modules whose output is (T, B, ...)."""
        self._names: dict[str, None] = {}
        self._others: set[str] = set()

    def see(self, name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        """Note a module with binary output: a library's neuron, or a leaf with other input."""
        spikes, entered = _first(output), _first(inputs)
        is_leaf = isinstance(entered, Tensor) and not any(True for _ in module.children())
        if isinstance(spikes, Tensor) and spikes.dim() > 2 and spikes.shape[1] == _ROWS:
            self.timed.add(name)
        if not isinstance(spikes, Tensor) or not is_binary(spikes):
            self._others.add(name)
        elif is_neuron(module) or (is_leaf and not is_binary(entered)):
            self._names[name] = None

    def found(self) -> tuple[str, ...]:
        """Return the modules' names."""
        names = [name for name in self._names if name not in self._others]
        # Not the module around them, whose output is theirs.
        return tuple(name for name in names if not any(is_inside(x, name) for x in names))


def is_inside(name: str, module: str) -> bool:
    """Return whether a part's name is below a module's."""
    return name != module and name.startswith(f"{module}." if module else "")


@contextmanager
def hooked(module: nn.Module, hook: Callable[[str, nn.Module, Any, Any], Any]) -> Iterator[None]:
    """Return a context in which the parts of a module call a hook with their names."""

    def named(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def see(part: nn.Module, inputs: Any, output: Any) -> None:
            hook(name, part, inputs, output)  # a result would replace the output

        return see

    hooks = [part.register_forward_hook(named(name)) for name, part in module.named_modules()]
    try:
        yield
    finally:
        for hook_ in hooks:
            hook_.remove()


# ---- network -------------------------------------------------------------------------------------
class ModuleNetwork(EncodedNetwork):
    """A PyTorch module behind the interface of ``SpikingNetwork``; it starts every pass from rest.

    Args:
        config: The module and its readout.
        input_size: Values of an observation, or channels of a spike train.
        output_size: Outputs of the linear head; None for no head.
        spike_steps: Time steps of a spike-train input; None for analogue input.

    Raises:
        ValueError: The module can't take the inputs, returns other things than described in
            ``ModuleConfig``, or its state stays.
    """

    state_size = 0

    def __init__(
        self,
        config: ModuleConfig,
        input_size: int,
        output_size: int | None = None,
        *,
        spike_steps: int | None = None,
    ) -> None:
        super().__init__(config.network, input_size, spike_steps)
        self.module = config.make()
        self.decode, self._membrane = READOUTS[config.readout], config.membrane
        self._sequence = _is_sequential(self.module) if config.sequence is None else config.sequence
        self._carries = not self._sequence and _passes_state(self.module)
        self._repeats = False
        """Whether the module runs the time steps of a decision by itself."""
        self.spiking: tuple[str, ...] = ()
        """Names of the parts that spike, input side first."""
        self.timed: set[str] = set()
        """Names of the parts that return all time steps."""
        features = self._probe()
        self.head = None if output_size is None else nn.Linear(features, output_size)
        self.output_size = features if output_size is None else output_size
        self._start_noise()

    def rest_state(self, batch: int) -> Tensor:
        """Return the empty state (batch, 0): none is carried."""
        return torch.empty(batch, 0)

    def apply(self, fn: Callable[[nn.Module], None]) -> ModuleNetwork:
        """Apply a function to the head alone: Stable-Baselines3 initialises networks by this."""
        if self.head is not None:
            self.head.apply(fn)
        return self

    def forward(
        self, inputs: Tensor, state: Tensor | None = None, *,
        optimised: bool = True, observer: Observer | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Decide on a batch from rest, as ``SpikingNetwork.forward``; the state is empty (B, 0)."""
        del state, optimised
        self._check_inputs(inputs)
        signal, _ = self._encode(inputs, None)
        if observer is None:
            output = self._decide(self.outputs(signal))
        else:
            trace = _Trace(self, len(inputs))
            with hooked(self.module, trace.see):
                output = self._decide(self.outputs(signal))
            observer(NetworkRun(signal, trace.runs()))
        return output, inputs.new_empty(len(inputs), 0)

    def _decide(self, outputs: Tensor) -> Tensor:
        features = self.decode(outputs)
        return features if self.head is None else self.head(features)  # type: ignore[no-any-return]

    def outputs(self, signal: Tensor) -> Tensor:
        """Return the module's outputs (T, B, F) for a signal (T or 1, B, D), from rest."""
        steps = self.config.time_steps
        forget(self.module)
        try:
            if self._sequence:
                return self._read(self.module(signal.expand(steps, *signal.shape[1:]))).flatten(2)
            outputs, state = [], None
            for step in range(1 if self._repeats else steps):
                x = signal[min(step, len(signal) - 1)]
                result = self.module(x) if state is None else self.module(x, state)
                state = result[1] if self._carries and isinstance(result, tuple) else None
                outputs.append(self._read(result))
            whole = outputs[0] if self._repeats else torch.stack(outputs)
            return whole.flatten(2) if whole.dim() > 2 else whole.unsqueeze(2)
        finally:
            forget(self.module)

    def _read(self, result: Any) -> Tensor:
        """Return the tensor that is read of a module's result."""
        is_several = isinstance(result, tuple | list)
        output = result[int(self._membrane)] if is_several else result
        if not isinstance(output, Tensor) or (self._membrane and not is_several):
            self._refuse(f"returns {type(output).__name__}; expected a tensor" + (
                ", the second of (spikes, potential)" if self._membrane else ""
            ))  # fmt: skip
        return output

    def _refuse(self, problem: str) -> NoReturn:
        raise ValueError(f"network {type(self.module).__name__} {problem}")

    @torch.no_grad()
    def _probe(self) -> int:
        """Find the module's form and the parts that spike; return the number of its features."""
        steps = self.config.time_steps if self.spikes_enter or self._sequence else 1
        signal = torch.linspace(-3.0, 3.0, steps * _ROWS * self.channels)
        if self.spikes_enter:
            signal = (torch.arange(len(signal)) % 3 == 0).float()
        signal = signal.view(steps, _ROWS, self.channels)
        found, training = _Spiking(), self.module.training
        self.module.eval()
        try:
            with torch.random.fork_rng(devices=[]), hooked(self.module, found.see):
                self._find_form(signal)
                for scale in (1.0, 10.0, -10.0):
                    passes = []
                    for _ in range(2):
                        torch.manual_seed(0)
                        passes.append(self.outputs(signal if self.spikes_enter else scale * signal))
                    if not torch.equal(*passes):
                        self._refuse(
                            "remembers the decision before; give the part that holds the state a "
                            "method reset() that forgets it, or pass the state as second argument"
                        )
        except (AttributeError, IndexError, RuntimeError, TypeError) as error:
            form = f"({', '.join(map(str, signal.shape[0 if self._sequence else 1 :]))})"
            line = " ".join(str(error).split())
            self._refuse(f"can't take inputs of shape {form}, which observations have: {line:.200}")
        finally:
            self.module.train(training)
        self.spiking, self.timed = found.found(), found.timed
        outputs = passes[0]
        if outputs.shape[:2] != (self.config.time_steps, _ROWS):
            self._refuse(
                f"returns {tuple(outputs.shape)} for {_ROWS} samples; expected (batch, features) "
                "at a time step, or (time steps, batch, features)"
            )
        return outputs.shape[2]

    def _find_form(self, signal: Tensor) -> None:
        """Note whether the module runs the time steps by itself, and how many."""
        if self._sequence:
            return
        forget(self.module)
        first = self._read(self.module(signal[0]))
        if first.dim() < 3 or first.shape[0] == _ROWS or first.shape[1] != _ROWS:
            return
        if self.spikes_enter:
            self._refuse(
                f"returns all time steps, {tuple(first.shape)}, for one; to take spikes let it "
                "take (time steps, batch, channels), with ModuleConfig(sequence=True)"
            )
        self._repeats, self.config = True, replace(self.config, time_steps=len(first))

    def record(
        self, inputs: Tensor, state: Tensor | None = None, *, head: nn.Module | None = None
    ) -> Recording:
        """Record a forward pass, without advancing the noise stream; as ``SpikingNetwork.record``.

        Args:
            inputs: As in ``forward``.
            state: Ignored.
            head: Head that reads this network, where the network has none.
        """
        del state
        with self._same_noise():
            signal, _ = self._encode(inputs, None)
        trace = _Trace(self, len(inputs))
        with hooked(self.module, trace.see):
            outputs = self.outputs(signal)
        output = self._decide(outputs)
        layers, costs = trace.counted(signal, outputs, self.head if head is None else head)
        return Recording(layers, output, self.config.dt_ms, costs)

    def program(self, head: nn.Module | None = None) -> NoReturn:
        """Raise ``ValueError``: a module is code."""
        del head
        self._refuse(
            "is code without a form outside of PyTorch; convert it by snn_gym.export.from_module, "
            "or build it of NetworkConfig with a neuron of yours (register_neuron)"
        )


# ---- hooks ---------------------------------------------------------------------------------------
class _Trace:
    """Spikes, potentials and products of a pass on B samples."""

    def __init__(self, network: ModuleNetwork, batch: int) -> None:
        self._network, self._counter = network, Counter(batch)
        self._layers = {name: f"hidden_{k}" for k, name in enumerate(network.spiking, start=1)}
        self._fired: dict[str, list[tuple[Tensor, Tensor | None]]] = {x: [] for x in self._layers}
        """Spikes and potential of each neuron's calls."""
        self._variables: dict[str, int] = {}
        self._sender = "input" if network.spikes_enter else ""
        """Layer that fired last."""
        self._senders: dict[str, str] = {}
        """Layer that fired before the first call of each module with weights."""
        self._held: dict[str, Tensor] = {}
        self._receivers: dict[tuple[str, str], Tensor] = {}
        """Synapses (D,) of each input of a module, by sender and module."""
        self._delivered: dict[tuple[str, str], float] = {}
        self._uncounted: dict[str, None] = {}

    def see(self, name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        """Note the spikes of a neuron, or the products of a module with weights."""
        if isinstance(module, _SYNAPSES):
            self._receive(name, module, inputs[0].detach(), output)
            return
        if name in self._fired:
            self._sender, spikes = self._layers[name], _first(output)
            self._fired[name].append((spikes, _potential(module, output)))
            self._variables[self._sender] = _variables(module, output)
        least = 2 if name in self._fired else 0
        if any(x.dim() >= least for x in module.parameters(recurse=False)):
            self._uncounted[type(module).__name__] = None

    def _receive(self, name: str, module: Any, x: Tensor, output: Tensor) -> None:
        """Count the products of an input: SynOps of spikes, MACs of analogue values."""
        around = next((place for place in self._layers if is_inside(name, place)), None)
        sender = self._sender if around is None else self._layers[around]
        sender = self._senders.setdefault(name, sender)
        order = [*self._layers.values(), READOUT]
        # Analogue products are those of the layer that comes next.
        layer = sender if around else order[order.index(sender) + 1 if sender in order else 0]
        steps = x if name in self._network.timed else x.unsqueeze(0)
        synapses = _synapses(module, steps.shape[2:])
        if sender and is_binary(x):
            key = sender, name
            self._receivers[key] = synapses
            sent = _products(steps.flatten(0, 1), synapses)
            self._delivered[key] = self._delivered.get(key, 0.0) + sent
        else:
            for values in steps:
                # Products of a value that is held are made once.
                if name not in self._held or not torch.equal(values, self._held[name]):
                    self._counter.macs(layer, _products(values, synapses))
                self._held[name] = values
        if module.bias is not None:
            share = float((module.bias != 0).double().mean())
            self._counter.parameters(layer, share * output.numel() / self._counter.batch)

    def runs(self) -> list[Run]:
        """Return spikes and potentials (T, B, N) of the layers, spikes for unknown potentials."""
        runs = []
        for name, calls in self._fired.items():
            timed = name in self._network.timed
            spikes, potentials = zip(*calls, strict=True)
            known = [x if y is None else y for x, y in zip(spikes, potentials, strict=True)]
            runs.append(Run(_joined(spikes, timed), _joined(known, timed), (), ()))
        return runs

    def counted(
        self, signal: Tensor, outputs: Tensor, head: nn.Module | None
    ) -> tuple[tuple[LayerRecording, ...], Costs]:
        """Return the layers and the costs of the pass, with a head behind the outputs (T, B, F)."""
        network, counter = self._network, self._counter
        runs = dict(zip(self._layers.values(), self.runs(), strict=True))
        if isinstance(head, nn.Linear):
            self._count_head(head, outputs, runs)
        encoder = network.config.encoder_parameters
        if isinstance(encoder, SpikeEncoder) and not network.spike_input:
            macs = encoder.macs(network.input_size, network.config.time_steps) + network.input_size
            counter.add("macs_per_decision", "encoder", macs)
        if network.spikes_enter:
            runs = {"input": Run(signal, signal, (), ()), **runs}
        layers = []
        for name, run in runs.items():
            behind = self._count_spikes(name, run.spikes)
            fan_out = int(behind.max())
            known = name != "input" and run.voltages is not run.spikes
            voltages = run.voltages if known else None
            zeros = fan_out - behind
            layers.append(LayerRecording(name, run.spikes, voltages, fan_out, zeros=zeros))
            if name in self._variables:
                steps, _, size = run.spikes.shape
                counter.updates(name, steps * size, self._variables[name])
        return tuple(layers), counter.costs(tuple(self._uncounted))

    def _count_head(self, head: nn.Linear, outputs: Tensor, runs: Mapping[str, Run]) -> None:
        """Count the products of the head, of spikes if the outputs are those of the last layer."""
        synapses = (head.weight != 0).sum(0)
        *_, last = ("", *runs)
        if last and torch.equal(outputs, runs[last].spikes):
            self._receivers[last, READOUT] = synapses
        else:
            features = self._network.decode(outputs)
            self._counter.macs(READOUT, _products(features, synapses))
        self._counter.parameters(READOUT, int((head.bias != 0).sum()))

    def _count_spikes(self, name: str, spikes: Tensor) -> Tensor:
        """Count the spikes of a layer; return the synapses (N,) of its neurons."""
        counter, behind = self._counter, [spikes.new_zeros(spikes.shape[2], dtype=torch.int64)]
        for key, synapses in self._receivers.items():
            if key[0] == name and synapses.shape == behind[0].shape:
                behind.append(synapses)
            elif key[0] == name:  # a pooling between them passes fewer spikes
                counter.add("synops_per_decision", name, self._delivered[key] / counter.batch)
                counter.add("synapses", name, int(synapses.sum()))
                counter.weights(name, self._delivered[key] / counter.batch)
        counter.spikes(name, as_array(spikes), *(x.numpy() for x in behind))
        return torch.stack(behind).sum(0)


def _joined(parts: Sequence[Tensor], timed: bool) -> Tensor:
    """Return the calls of a neuron as (T, B, N)."""
    joined = parts[0] if timed else torch.stack(tuple(parts))
    return joined.reshape(*joined.shape[:2], -1)


def _potential(module: nn.Module, output: Any) -> Tensor | None:
    """Return a neuron's potential as its library keeps it, None if it has not the spikes' shape."""
    state = output[1] if isinstance(output, tuple) else None
    places = ((state, "v"), (module, "mem"), (module, "v"))
    values = (getattr(owner, name, None) for owner, name in places)
    shape = _first(output).shape
    return next((x for x in values if isinstance(x, Tensor) and x.shape == shape), None)


def _variables(module: nn.Module, output: Any) -> int:
    """Return the number of a neuron's state variables."""
    state = output[1] if isinstance(output, tuple) else None
    held = state if hasattr(state, "_fields") else module.buffers(recurse=False)
    return max(1, sum(isinstance(x, Tensor) and x.shape == _first(output).shape for x in held))


def _synapses(module: Any, shape: torch.Size) -> Tensor:
    """Return the number (D,) of weights, not zero, that each of the inputs has, int64."""
    present = (module.weight != 0).double()
    if isinstance(module, nn.Linear):
        return present.sum(0).long().expand(shape).flatten()
    with torch.enable_grad():
        ones = torch.ones(1, *shape, dtype=torch.float64, requires_grad=True)
        # A convolution of ones: its derivative counts the outputs of each input.
        (counts,) = torch.autograd.grad(module._conv_forward(ones, present, None).sum(), ones)
    return counts.flatten().long()


def _products(values: Tensor, synapses: Tensor) -> float:
    """Return the products of values (B, ...) that are not zero, summed over the batch."""
    return float(((values != 0).flatten(1).sum(0) * synapses).sum())
