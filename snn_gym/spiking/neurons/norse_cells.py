"""Any spiking module with Norse's protocol as a layer's neurons, for research."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from snn_gym.spiking.neurons.base import State, Stepped

CellFactory = Callable[[int], nn.Module]
"""Makes a spiking module, ``module(input, state) -> (spikes, state)``, for a layer of that size."""


class NorseCell(nn.Module, Stepped):
    """A spiking module behind the interface of ``Neuron``; its own surrogate gradient applies.

    ``output, state = module(input, state)`` as in Norse, with cells, recurrent cells and
    ``norse.torch.SequentialState`` among them: input and output (B, N), and the state a nest of
    tensors (B, ...), named tuples, lists, mappings and None, whose tensors are carried flat. Where
    the module can't tell its state at rest (``state_fallback``), it starts from ``None``, and one
    more state variable says which samples have begun.

    Args:
        factory: Makes the module.
        size: Neurons of the layer.

    Raises:
        ValueError: The module does not follow the protocol, or its output is no spikes.
    """

    v_threshold = None

    def __init__(self, factory: CellFactory, size: int) -> None:
        super().__init__()
        # Makes Norse's parameters picklable; here, because few networks need Norse.
        import_module("snn_gym.spiking.neurons.pickling")
        self.cell: Any = factory(size)
        with torch.no_grad():
            found = self.cell(torch.zeros(2, size), None)
        kind = type(self.cell).__name__
        if not isinstance(found, tuple) or len(found) != 2 or found[0].shape != (2, size):
            raise ValueError(
                f"cell_factory({size}) must make a module that returns spikes (batch, {size}) and "
                f"a state, module(input, state) -> (spikes, state), and {kind} does not"
            )
        self._check_spikes(found[0])
        self._template = found[1]
        variables = dict(_flatten(self._template))
        for name, variable in variables.items():
            if variable.ndim < 2 or len(variable) != 2:
                raise ValueError(
                    f"state {name!r} of {kind} must have the shape (batch, ...), got "
                    f"{tuple(variable.shape)} for a batch of 2"
                )
        self._tells_rest = hasattr(self.cell, "state_fallback")
        self._names = tuple(variables)
        self._sizes = tuple(variable[0].numel() for variable in variables.values())
        potentials = [
            place
            for place, name in enumerate(variables)
            if name.rsplit(".", 1)[-1] == "v" and self._sizes[place] == size
        ]
        self._potential = potentials[-1] if potentials else None
        self.has_potential = bool(potentials)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the state variables: where they are in the module's state."""
        return self._names if self._tells_rest else (*self._names, "begun")

    def state_sizes(self, size: int) -> tuple[int, ...]:
        """Return the numbers of one sample in each state variable."""
        del size
        return self._sizes if self._tells_rest else (*self._sizes, 1)

    def initial_state(self, batch: int, size: int, like: Tensor) -> State:
        """Return the module's own state at rest, each variable (batch, numbers)."""
        if not self._tells_rest:
            return tuple(like.new_zeros(batch, width) for width in self.state_sizes(size))
        state = self.cell.state_fallback(like.new_zeros(batch, size))
        return tuple(
            x.detach().to(like).expand(batch, *variable.shape[1:]).reshape(batch, -1)
            for (_, x), (_, variable) in zip(_flatten(state), _flatten(self._template), strict=True)
        )

    def step(self, current: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Advance one time step; as ``Stepped.step``, but the potential is after the reset.

        Without a potential the spikes stand in its place.

        Raises:
            ValueError: The output is no spikes.
        """
        if self._tells_rest:
            z, variables = self._run(current, state)
        else:
            *carried, begun = state
            z, variables = self._begin_or_go_on(current, tuple(carried), begun == 0)
            variables = (*variables, torch.ones_like(begun))
        self._check_spikes(z)
        voltage = z if self._potential is None else variables[self._potential]
        return z, voltage, variables

    def _run(self, current: Tensor, state: State | None) -> tuple[Tensor, State]:
        nested = None if state is None else _rebuild(self._template, iter(state))
        z, new = self.cell(current, nested)
        return z, tuple(x.reshape(len(current), -1) for _, x in _flatten(new))

    def _begin_or_go_on(self, current: Tensor, state: State, fresh: Tensor) -> tuple[Tensor, State]:
        """Run samples that are ``fresh`` (B, 1) from None, and the others from their state."""
        if fresh.all():
            return self._run(current, None)
        z, variables = self._run(current, state)
        if not fresh.any():
            return z, variables
        first, begun = self._run(current, None)
        pairs = zip(begun, variables, strict=True)
        return torch.where(fresh, first, z), tuple(torch.where(fresh, a, b) for a, b in pairs)

    def _check_spikes(self, output: Tensor) -> None:
        values = output.detach()
        wrong = values[(values != 0) & (values != 1)]
        if wrong.numel():
            raise ValueError(
                f"the output of {type(self.cell).__name__} must be spikes, 0 or 1, got "
                f"{wrong[0].item()}; end the module with a neuron that fires"
            )


def _flatten(state: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Find the tensors of a nested state, by where they are."""
    if isinstance(state, Tensor):
        yield name or "state", state
    elif state is not None:
        for key, part in _parts(state):
            yield from _flatten(part, f"{name}.{key}" if name else str(key))


def _parts(state: Any) -> list[tuple[Any, Any]]:
    if isinstance(state, Mapping):
        return list(state.items())
    if isinstance(state, tuple | list):
        return list(zip(getattr(state, "_fields", range(len(state))), state, strict=True))
    raise ValueError(
        f"a state must be made of tensors, tuples, lists, mappings and None, got "
        f"{type(state).__name__}"
    )


def _rebuild(template: Any, variables: Iterator[Tensor]) -> Any:
    """Return a state nested as the template is, of flat variables (B, numbers)."""
    if template is None:
        return None
    if isinstance(template, Tensor):
        flat = next(variables)
        return flat.reshape(len(flat), *template.shape[1:])
    parts = [(key, _rebuild(part, variables)) for key, part in _parts(template)]
    if isinstance(template, Mapping):
        return dict(parts)
    values = [value for _, value in parts]
    return type(template)(*values) if hasattr(template, "_fields") else type(template)(values)
