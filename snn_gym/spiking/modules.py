"""Your own PyTorch module as a network: snnTorch's, SpikingJelly's, Norse's or a plain one.

The module stays code of yours. Every pass forgets its state, before and after, so that no graph of
an earlier minibatch is left in it. Spikes are seen by forward hooks. Costs are those of a
``SpikingNetwork`` with the module's synapses.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor, nn

from snn_gym.program.costs import Costs
from snn_gym.spiking.execution import NetworkRun, Observer
from snn_gym.spiking.layer_neurons import Run, make_picklable
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.recording import LayerRecording, Operations, Recording


@dataclass(frozen=True)
class ModuleConfig:
    """A PyTorch module as the network of a policy, in place of ``NetworkConfig``.

    The module takes one time step, ``module(x)`` or ``module(x, state) -> (output, state)``, x (B,
    D), and is called ``time_steps`` times; or all of them, x (T, B, D), in one call; or it runs
    them by itself and returns (T, B, F). There may be several states, arguments of default None,
    such as membranes. Of a tuple the first tensor counts. An observation is held
    over the time steps. A policy copies the module, whose weights are the initial ones, and reads
    the copy by a linear head of its own.

    Args:
        module: The module, or a function that makes one, which every network of a policy calls.
        time_steps: Time steps of a decision, T; a spike train or a module that runs them by itself
            has its own.
        readout: Function from the module's outputs (T, B, F) to (B, F), which the head reads. None
            for their mean: rates where the module's last layer spikes, else potentials or currents.
        sequence: Whether the module takes all time steps in one call. None: if it has a multi-step
            module of SpikingJelly or a module of Norse with time.
    """

    module: nn.Module | Callable[[], nn.Module]
    time_steps: int = 8
    readout: Callable[[Tensor], Tensor] | None = None
    sequence: bool | None = None


# ---- parts ---------------------------------------------------------------------------------------
Calls = dict[str, list[tuple[Any, Any]]]  # input and output of each call, parts in their order
_ROWS = 11  # of a probe: no usual number of time steps or channels


def forget(module: nn.Module) -> None:
    """Reset the state of all parts, by ``reset_mem`` as in snnTorch or ``reset`` as elsewhere."""
    for part in module.modules():
        reset = getattr(part, "reset_mem", None) or getattr(part, "reset", None)
        if callable(reset):
            reset()


@contextmanager
def _calls_of(module: nn.Module) -> Iterator[Calls]:
    """Return a context that collects the calls of a module's parts."""
    calls: Calls = {}
    hooks = [
        part.register_forward_hook(partial(_collect, calls.setdefault, name))
        for name, part in module.named_modules()
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def _collect(place: Any, name: str, _: nn.Module, x: Any, result: Any) -> None:
    place(name, []).append((_first(x), _first(result)))


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple | list) and result else result


def _is_binary(values: Any) -> bool:
    return isinstance(values, Tensor) and bool(((values == 0) | (values == 1)).all())


def _affine(linear: Any, size: int = 0) -> tuple[Tensor, Tensor]:
    """Return weights and biases in 64 bits of a linear map, or of the identity in place of None."""
    weights = torch.eye(size).double() if linear is None else linear.weight.detach().double()
    bias = getattr(linear, "bias", None)
    return weights, weights.new_zeros(len(weights)) if bias is None else bias.detach().double()


class Converted(NamedTuple):
    """A network of ours with a module's synapses, and the linear map behind its last neurons."""

    network: SpikingNetwork
    tail: tuple[Tensor, Tensor]

    @torch.no_grad()
    def head(self, head: nn.Linear | None) -> nn.Linear:
        """Return one linear head that equals the module's tail followed by ``head``.

        If ``head`` is None, it equals the tail alone.
        """
        weights, biases = self.tail
        own, shift = _affine(head, len(biases))
        merged: nn.Linear = nn.utils.skip_init(nn.Linear, weights.shape[1], len(own))  # type: ignore[no-untyped-call]
        merged.weight.copy_(own @ weights)
        merged.bias.copy_(own @ biases + shift)
        return merged


# ---- network -------------------------------------------------------------------------------------
class ModuleNetwork(nn.Module):
    """A PyTorch module behind the interface of ``SpikingNetwork``; it starts every pass from rest.

    Args:
        config: The module and its readout.
        input_size: Values of an observation, or channels of a spike train.
        output_size: Outputs of the linear head; None for no head.
        spike_steps: Time steps of a spike-train input; None for analogue input.

    Raises:
        ValueError: The module can't take the inputs, returns other things than described in
            ``ModuleConfig``, or keeps its state from one decision to the next.
    """

    def __init__(
        self,
        config: ModuleConfig,
        input_size: int,
        output_size: int | None = None,
        *,
        spike_steps: int | None = None,
    ) -> None:
        super().__init__()
        self.input_size, self.spike_steps = input_size, spike_steps
        self.time_steps = spike_steps or config.time_steps
        self._readout = config.readout or partial(torch.mean, dim=0)
        given: Any = config.module
        if isinstance(given, nn.Module):
            forget(given)  # a graph can't be copied
        self.module = deepcopy(given) if isinstance(given, nn.Module) else given()
        if not isinstance(self.module, nn.Module):
            raise ValueError(
                "a network must be a NetworkConfig, a torch.nn.Module or a function that makes "
                f"one, got {self.module!r:.80}"
            )
        if any(hasattr(part, "state_fallback") for part in self.module.modules()):
            make_picklable()
        marks = ("record_states", "lifted_module")  # of Norse's modules with time
        self._sequence = bool(config.sequence) or (config.sequence is None and any(
            getattr(part, "step_mode", "") == "m" or any(hasattr(part, x) for x in marks)
            for part in self.module.modules()
        ))  # fmt: skip
        others = list(inspect.signature(self.module.forward).parameters.values())[1:]
        self._states = len(list(takewhile(lambda x: x.default is None, others)))
        self._repeats = False  # whether the module runs the time steps of a decision by itself
        features = self._probe()
        self.head = None if output_size is None else nn.Linear(features, output_size)
        self.output_size = features if output_size is None else output_size

    def apply(self, fn: Callable[[nn.Module], None]) -> ModuleNetwork:
        """Change nothing: Stable-Baselines3 would initialise the user's weights by this."""
        del fn
        return self

    def reseed_noise(self, seed: int) -> None:
        """Do nothing: no noise is drawn here."""

    def forward(
        self, inputs: Tensor, state: Tensor | None = None, *,
        optimised: bool = True, observer: Observer | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Decide on a batch from rest, as ``SpikingNetwork.forward``, with empty states (B, 0)."""
        del state, optimised
        watched = nullcontext(Calls()) if observer is None else _calls_of(self.module)
        with watched as calls:
            features = self._readout(self._outputs(inputs))
        if observer is not None:
            observer(self._run(inputs, calls))
        output = features if self.head is None else self.head(features)
        return output, inputs.new_empty(len(inputs), 0)

    def _signal(self, inputs: Tensor) -> Tensor:
        return inputs.unsqueeze(0) if self.spike_steps is None else inputs.transpose(0, 1)

    def _outputs(self, inputs: Tensor) -> Tensor:
        """Return the module's outputs (T, B, F), from rest."""
        signal, states = self._signal(inputs).expand(self.time_steps, -1, -1), tuple[Any, ...]()
        forget(self.module)
        if self._sequence or self._repeats:
            outputs = _first(self.module(signal if self._sequence else signal[0]))
        else:
            steps = []
            for x in signal:
                result = self.module(x, *states)
                states = result[1 : 1 + self._states] if isinstance(result, tuple) else ()
                steps.append(_first(result))
            outputs = torch.stack(steps)
        forget(self.module)
        return outputs.reshape(*outputs.shape[:2], -1)  # type: ignore[no-any-return]

    def refuse(self, problem: str) -> NoReturn:
        """Raise ``ValueError`` for a problem of the module."""
        raise ValueError(f"network {type(self.module).__name__} {problem}")

    @torch.no_grad()
    def _probe(self) -> int:
        """Find the module's form and the parts that spike; return the number of its features."""
        shape = (_ROWS, *((self.spike_steps,) if self.spike_steps else ()), self.input_size)
        inputs = torch.linspace(-10.0, 10.0, torch.Size(shape).numel()).view(shape)
        inputs = (inputs.sin() > 0).float() if self.spike_steps else inputs
        self.module.eval()
        try:
            with (
                torch.random.fork_rng(devices=[]),
                Operations() as run,
                _calls_of(self.module) as calls,
            ):
                if not (self._sequence or self.spike_steps):
                    shape = _first(self.module(inputs)).shape
                    self._repeats = len(shape) == 3 and shape[0] != _ROWS == shape[1]
                    self.time_steps = shape[0] if self._repeats else self.time_steps
                passes = []
                for _ in range(2):
                    torch.manual_seed(0)
                    passes.append(self._outputs(inputs))
        except (AttributeError, LookupError, RuntimeError, TypeError) as error:
            problem = f"{tuple(inputs.shape)}: {' '.join(str(error).split()):.200}"
            self.refuse(f"fails on observations of shape {problem}")
        if passes[0].shape[:2] != (self.time_steps, _ROWS):
            self.refuse(
                f"returns {tuple(passes[0].shape)} for {_ROWS} samples; expected (batch, features) "
                "at a time step, or (time steps, batch, features)"
            )
        if not torch.equal(*passes):
            self.refuse(
                "remembers the decision before; give the part that holds the state a method "
                "reset() that forgets it, or take and return the state as second argument"
            )
        self.module.train()
        self._find_parts(calls, run)
        return passes[0].shape[2]

    def _find_parts(self, calls: Calls, run: Operations) -> None:
        """Note the parts that spike, and the linear maps and neurons in turn."""
        parts: dict[str, Any] = {name: self.module.get_submodule(name) for name in calls}
        marks = ("reset_mem", "surrogate_function", "state_fallback")  # of libraries' neurons
        # And leaves that make spikes of other values.
        self.spiking = [
            name for name, seen in calls.items() if name and all(_is_binary(y) for _, y in seen)
            and (any(hasattr(parts[name], x) for x in marks) or not (
                list(parts[name].children()) or all(_is_binary(x) for x, _ in seen)
            ))
        ]  # fmt: skip
        self._timed = any(calls[x][-1][1].shape[1:2] == (_ROWS,) for x in self.spiking)
        self._chain, self.problem, before = list[str](), "", calls[""][0][0].flatten()
        for name, part in parts.items():
            if any(name.startswith(f"{neuron}.") for neuron in self.spiking):
                continue
            (x, y), leaf = calls[name][0], name in self.spiking or not list(part.children())
            value, same = (x if leaf else y).flatten(), torch.equal(x.flatten(), y.flatten())
            size = min(len(value), len(before))
            weights = [w for w in part.parameters(recurse=False) if w.dim() > 1]
            known = isinstance(part, nn.Linear) or not (
                weights or (leaf and not same and name not in self.spiking)
            )
            loop = getattr(part, "recurrent", None)
            follows = torch.equal(before[:size], value[:size])
            if not (known and follows and isinstance(loop, nn.Linear | None)):
                place = f"{type(part).__name__} {name!r}" if name else "the output of its forward"
                self.problem = f"{place} or what comes before it"
            self._chain += [name] * leaf
            before = y.flatten()
        further = self._further_products(calls, run)
        self.problem = (self.problem or further) if self.spiking else "no neurons that fire"

    def _further_products(self, calls: Calls, run: Operations) -> str:
        """Return "" if the passes ran just one product of each ``Linear`` in a time step.

        Otherwise return the words by which an error message names the further products. ``calls``
        are the calls of the parts in these passes, ``run`` are all operations of PyTorch.
        """
        parts = {name: self.module.get_submodule(name) for name in calls}
        maps = [
            calls[name]
            for name in (*self._chain, *(f"{name}.recurrent" for name in self.spiking))
            if isinstance(parts.get(name), nn.Linear)
        ]
        # A call of the whole module may have all time steps, or one, as of a held observation.
        steps = {1, self.time_steps if self._sequence or self._repeats else 1}
        found = [sum(y.numel() for _, y in x) for x in maps]
        once = [len(calls[""]) * _ROWS * x[0][1].shape[-1] for x in maps]
        each = {number / one for number, one in zip(found, once, strict=True)} <= steps
        known = each and sum(found) == run.outputs and not run.outside
        return "" if known else "products beside one of each Linear in a time step"

    def _run(self, inputs: Tensor, calls: Calls) -> NetworkRun:
        """Return the spikes of a pass as runs of layers, where they stand for potentials, too."""
        fired = [[spikes for _, spikes in calls[name]] for name in self.spiking]
        joined = [parts[0] if self._timed else torch.stack(parts) for parts in fired]
        spikes = [x.reshape(*x.shape[:2], -1) for x in joined]
        return NetworkRun(self._signal(inputs), [Run(x, x, (), ()) for x in spikes])

    def record(
        self, inputs: Tensor, state: Tensor | None = None, *, head: nn.Linear | None = None
    ) -> Recording:
        """Record a forward pass, with the arguments of ``SpikingNetwork.record``.

        ``state`` is ignored. Of a module that is no chain of ``Linear`` and neurons, only spikes
        are counted. Bytes of state are not known.
        """
        del state
        runs: list[NetworkRun] = []
        output, _ = self.forward(inputs, observer=runs.append)
        head = head if self.head is None else self.head
        if self.problem:
            spikes = {f"hidden_{k}": x.spikes for k, x in enumerate(runs[0].layers, start=1)}
            layers = tuple(LayerRecording(name, x, None, 0) for name, x in spikes.items())
            fired = {x.name: x.spikes_per_decision() for x in layers}
            costs = Costs(spikes_per_decision=fired, uncounted=(type(self.module).__name__,))
            return Recording(layers, output, 1.0, costs)
        ours = self.converted(lambda _: ("lif_box", None, 1.0))
        read_by = None if head is None else ours.head(head)
        recording = ours.network.recorded(runs[0], output, read_by)
        layers = tuple(replace(x, voltages=None, v_threshold=None) for x in recording.layers)
        return replace(
            recording, layers=layers, costs=replace(recording.costs, state_bytes_per_decision={})
        )

    @torch.no_grad()
    def converted(self, read: Callable[[nn.Module], tuple[str, Any, Any]]) -> Converted:
        """Return a network of ours with the module's synapses; refuse other modules than chains.

        ``read`` returns name and parameters of our neuron for a part, and the factor of its inputs.
        """
        if self.problem:
            self.refuse(
                f"is no chain of Linear and neurons, by {self.problem}; return the last part's "
                "values of each time step, or write an nn.Sequential of Linear and neurons "
                "(snnTorch's with init_hidden=True)"
            )
        neurons, synapses = list[tuple[str, Any, Any]](), list[Any]()
        weights, biases = _affine(None, self.input_size)
        for name in self._chain:
            part: Any = self.module.get_submodule(name)
            if isinstance(part, nn.Linear):
                own, shift = _affine(part)
                weights, biases = own @ weights, own @ biases + shift
            elif name in self.spiking:
                loop = getattr(part, "recurrent", None)
                looped, shift = _affine(loop, len(biases))
                neurons.append(read(part))
                synapses.append((weights, biases + shift, looped * (loop is not None)))
                weights, biases = _affine(None, len(biases))
        names, parameters, scales = zip(*neurons, strict=True)
        same = all(x[:2] == neurons[0][:2] for x in neurons)
        config = NetworkConfig(
            hidden_sizes=tuple(len(x[1]) for x in synapses),
            time_steps=self.time_steps,
            neuron=names[0] if same else names,
            neuron_parameters=parameters[0] if same else parameters,
            recurrent=any(bool(x[2].any()) for x in synapses),
        )
        with torch.random.fork_rng(devices=[]):
            network = SpikingNetwork(config, self.input_size, spike_steps=self.spike_steps)
        layers: Any = network.layers
        for layer, scale, (given, shift, loop) in zip(layers, scales, synapses, strict=True):
            factor = torch.as_tensor(scale).reshape(-1, 1)
            layer.linear.weight.copy_(factor * given)
            layer.linear.bias.copy_(factor.flatten() * shift)
            if layer.recurrent is not None:
                layer.recurrent.weight.copy_(factor * loop)
        return Converted(network, (weights, biases))

    def program(self, head: nn.Module | None = None) -> NoReturn:
        """Raise ``ValueError``: a module is code."""
        del head
        self.refuse(
            "is code without a form outside of PyTorch; convert it by snn_gym.zoo.from_module, "
            "or build it of NetworkConfig with a neuron of yours (register_neuron)"
        )
