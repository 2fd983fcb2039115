"""Submitted weights: those of the registered architecture, and no copy of stored ones."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from snn_gym._base.storage import StorageError, parse_tensors
from snn_gym.leaderboard.chain import read_below
from snn_gym.leaderboard.manifest import MAX_WEIGHTS_BYTES, WEIGHTS_NAME, SubmissionError, shorten
from snn_gym.leaderboard.results import Row, list_rows, row_path
from snn_gym.spiking.assembly import todays_names
from snn_gym.zoo import agent_ids, build_policy

# ---- architecture --------------------------------------------------------------------------------
_MAX_NAMES_SHOWN = 3


@dataclass(frozen=True)
class TensorForm:
    """Shape and element type of a tensor."""

    shape: tuple[int, ...]
    """Size of each dimension."""
    dtype: torch.dtype
    """Element type."""


@functools.lru_cache(maxsize=16)
def _registered_policy(agent: str, env_id: str) -> Any:
    # Any: PyTorch types the attributes of a module that it does not know as tensors.
    return build_policy(agent, env_id)


def expected_tensors(agent: str, env_id: str) -> Mapping[str, TensorForm]:
    """Return the form of every tensor that acting needs, by name.

    Args:
        agent: Agent of the zoo.
        env_id: One of its environments.

    Raises:
        ValueError: The agent or the environment is unknown.
    """
    tensors = _registered_policy(agent, env_id).acting_state_dict()
    return {name: TensorForm(tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}


def trained_tensors(
    tensors: Mapping[str, torch.Tensor], agent: str, env_id: str
) -> dict[str, torch.Tensor]:
    """Return those of an architecture's tensors that gradients or a search have shaped.

    They come in the order of the architecture, from observations to actions.

    Args:
        tensors: Checked tensors by name.
        agent: Agent of the zoo.
        env_id: One of its environments.
    """
    names = (name for name, _ in _registered_policy(agent, env_id).named_parameters())
    return {name: tensors[name] for name in names if name in tensors}


def check_tensors(tensors: Mapping[str, torch.Tensor], agent: str, env_id: str) -> None:
    """Refuse tensors that the registered architecture would not take exactly as they are.

    Args:
        tensors: Submitted tensors by name.
        agent: Agent of the zoo.
        env_id: One of its environments.

    Raises:
        SubmissionError: ``weights-count``, ``weights-name``, ``weights-dtype``,
            ``weights-shape``, ``weights-nonfinite`` or ``weights-dynamics``, in this order.
    """
    expected = expected_tensors(agent, env_id)
    fix = f"write it with `snn-gym submit` from a run of {agent}"
    if len(tensors) != len(expected):
        raise SubmissionError(
            "weights-count",
            f"{WEIGHTS_NAME} holds {len(tensors)} tensors; expected {len(expected)}; {fix}",
        )
    if tensors.keys() != expected.keys():
        unknown = _show(sorted(tensors.keys() - expected.keys()))
        missing = _show(sorted(expected.keys() - tensors.keys()))
        raise SubmissionError(
            "weights-name",
            f"{WEIGHTS_NAME} holds the unknown tensors {unknown}; expected {missing}; {fix}",
        )
    for name, form in expected.items():
        if tensors[name].dtype != form.dtype:
            raise SubmissionError(
                "weights-dtype",
                f"{WEIGHTS_NAME}: tensor {name!r} is {tensors[name].dtype}; "
                f"expected {form.dtype}; {fix}",
            )
        if tuple(tensors[name].shape) != form.shape:
            raise SubmissionError(
                "weights-shape",
                f"{WEIGHTS_NAME}: tensor {name!r} has the shape {tuple(tensors[name].shape)}; "
                f"expected {form.shape}; {fix}",
            )
    _check_finite(tensors)
    # Into a policy of its own: a load that fails may leave the policy changed, and the next
    # submission has to meet the registered one.
    fresh: Any = build_policy(agent, env_id)
    try:
        fresh.load_acting_state_dict(tensors)
    except (ValueError, RuntimeError) as error:  # the latter of a part of the policy
        detail = shorten(str(error).splitlines()[-1])
        raise SubmissionError("weights-dynamics", f"{WEIGHTS_NAME}: {detail}; {fix}") from error


def _check_finite(tensors: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in tensors.items():
        bad = int(tensor.numel() - torch.isfinite(tensor).sum())
        if bad:
            raise SubmissionError(
                "weights-nonfinite",
                f"{WEIGHTS_NAME}: tensor {name!r} holds {bad} values that are NaN or infinite; "
                "expected only finite ones; train the agent again",
            )


def _show(names: list[str]) -> str:
    shown = ", ".join(repr(shorten(name)) for name in names[:_MAX_NAMES_SHOWN])
    return shown + (", …" if len(names) > _MAX_NAMES_SHOWN else "")


# ---- copies --------------------------------------------------------------------------------------
# Whether trained weights are a copy of stored ones, slightly changed or written another way.
#
# A network can be written in many ways that act alike: hidden units in another order; units of an
# odd function with the signs of all their weights turned; inputs of ReLU units scaled up and their
# outputs down by as much; all logits shifted or scaled; observation statistics changed and the
# first weights with them. So two networks are laid on each other before they are compared: layer by
# layer, from the observations on, each unit is matched with the most similar one, by the assignment
# of least cost (as in Ainsworth et al. 2023, https://arxiv.org/abs/2209.04836, section 3.2). What
# is left is the distance. ``docs/copies.md`` has the measurements behind the threshold.
Floats = NDArray[np.float64]

NEAR = 0.15
"""Distance below which weights are a copy: half of the least between stored rows."""


@dataclass(frozen=True)
class Layer:
    """Weights of a layer. A gated unit has a row for each gate; rows of a gate are together."""

    inward: Floats
    """From the layer before. Shape (gates * units, inputs)."""
    biases: Floats
    """Shape (gates * units, biases); gated layers have two."""
    recurrent: Floats | None = None
    """From the layer's own units. Shape (gates * units, units)."""

    @property
    def units(self) -> int:
        """How many units it has."""
        return len(self.inward) if self.recurrent is None else self.recurrent.shape[1]


@dataclass(frozen=True)
class Network:
    """Weights of an acting network, from observations to actions."""

    layers: tuple[Layer, ...]
    """Hidden layers and, last, the readout."""
    mean: Floats | None = None
    """Mean subtracted from the inputs of the first layer; None for no normaliser."""
    std: Floats | None = None
    """Standard deviation that divides them then."""

    @property
    def form(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the layers; a distance exists between networks of equal form."""
        return tuple((*x.inward.shape, x.units, x.biases.shape[1]) for x in self.layers)


def read_network(tensors: Mapping[str, torch.Tensor], agent: str, environment: str) -> Network:
    """Sort the tensors of a registered architecture into layers.

    Args:
        tensors: All that acting needs, by today's names.
        agent: Agent of the zoo.
        environment: One of its environments.
    """
    parts: dict[str, dict[str, list[Floats]]] = {}
    for name, tensor in trained_tensors(tensors, agent, environment).items():
        prefix, _, leaf = name.rpartition(".")
        recurrent = prefix.endswith(".recurrent") or leaf.startswith("weight_hh")
        kind = "biases" if tensor.dim() == 1 else "recurrent" if recurrent else "inward"
        layer = parts.setdefault(prefix.removesuffix(".recurrent").removesuffix(".linear"), {})
        layer.setdefault(kind, []).append(tensor.numpy().astype(np.float64))
    layers = tuple(_layer(part) for part in parts.values() if "inward" in part)
    statistics = {
        name.rpartition(".")[2]: tensor.numpy().astype(np.float64)
        for name, tensor in tensors.items()
        if name.endswith((".mean", ".std")) and tensor.numel() == layers[0].inward.shape[1]
    }
    return Network(layers, **statistics)


def _layer(part: Mapping[str, list[Floats]]) -> Layer:
    (inward,), (recurrent,) = part["inward"], part.get("recurrent", [None])
    biases = part.get("biases", [np.zeros(len(inward))])
    return Layer(inward, np.stack(biases, axis=1), recurrent)


def distance(one: Network, other: Network) -> float:
    """Return how far apart two networks are, however they are written.

    Args:
        one: A network.
        other: Another one of the same form.

    Returns:
        0 for networks that act alike by one of the changes above, about 1 for unrelated ones: the
        norm of the difference over the root of the sum of both squared norms, as a mean over
        layers. It is taken with and without the observation statistics, and with and without the
        scales of units; the least counts.

    Raises:
        ValueError: They differ in form.
    """
    if one.form != other.form:
        raise ValueError(
            f"networks have the forms {one.form} and {other.form}; expected equal ones"
        )
    written = (other, _with_statistics(other, one))
    return min(
        _laid_on(_scaled(one, moved), _scaled(second, moved))
        for second, moved in product(written, (False, True))
    )


def check_is_no_copy(
    leaderboard: Path,
    agent: str,
    environment: str,
    tensors: Mapping[str, torch.Tensor],
    parent: Row | None = None,
) -> None:
    """Refuse weights that are those of a stored row, slightly changed or written another way.

    Args:
        leaderboard: Folder of the leaderboard; an absent one has no rows.
        agent: Agent of the new row.
        environment: Its environment.
        tensors: Its checked tensors, by today's names.
        parent: Row that it was made from, which it may be near to.

    Raises:
        SubmissionError: ``near-copy``; or ``row-weights``: those of a stored row cannot be read.
    """
    network = read_network(tensors, agent, environment)
    shapes = _shapes(tensors)
    for row in list_rows(leaderboard):
        if parent is not None and row.content_sha256 == parent.content_sha256:
            continue
        stored = stored_tensors(leaderboard, row)
        # An agent that has left the zoo has no architecture any more to sort its tensors by.
        if _shapes(stored) != shapes or row.agent not in agent_ids():
            continue
        candidate = read_network(stored, row.agent, row.environment)
        if candidate.form != network.form:
            continue
        found = distance(network, candidate)
        if found < NEAR:
            raise SubmissionError(
                "near-copy",
                f"the weights are {found:.2g} from those of {row.agent} on {row.environment} with "
                f"seed {row.seed}; expected {NEAR} or more, as between independent trainings; "
                "train from the start with another seed, or verify with --retrain, which shows "
                "that it was",
            )


def stored_tensors(leaderboard: Path, row: Row) -> dict[str, torch.Tensor]:
    """Read the tensors of a stored row, by today's names.

    Args:
        leaderboard: Folder of the leaderboard.
        row: One of its rows.

    Raises:
        SubmissionError: ``row-weights``: they cannot be read.
    """
    path = row_path(leaderboard, row.agent, row.environment, row.seed).with_suffix(".safetensors")
    place = path.relative_to(leaderboard).as_posix()
    try:
        data = read_below(leaderboard, place, MAX_WEIGHTS_BYTES)
        return todays_names(parse_tensors(data, where=path.name)[0])
    except StorageError as error:
        raise SubmissionError(
            "row-weights",
            f"{place}: {error}; see `snn-gym audit`",
        ) from error


def _shapes(tensors: Mapping[str, torch.Tensor]) -> Counter[tuple[int, ...]]:
    return Counter(tuple(tensor.shape) for tensor in tensors.values() if tensor.dim() > 1)


def _with_statistics(network: Network, of: Network) -> Network:
    """Write a network with the observation statistics of another one."""
    if network.mean is None or network.std is None or of.mean is None or of.std is None:
        return network
    first = network.layers[0]
    biases = first.biases.copy()
    biases[:, 0] += first.inward @ ((of.mean - network.mean) / network.std)
    inward = first.inward * (of.std / network.std)
    return Network((replace(first, inward=inward, biases=biases), *network.layers[1:]))


def _scaled(network: Network, moved: bool) -> tuple[Layer, ...]:
    """Take off what logits have in common and their scale, and move scales of units if told.

    A unit whose scale is moved has inputs of norm 1, and its outputs are as many times larger. For
    the comparison its inputs then count as much as its outputs, so that idle units do not.
    """
    layers: list[Layer] = []
    scale: Floats | float = 1.0
    for layer in network.layers[:-1]:
        inward, biases = layer.inward * scale, layer.biases
        scale = 1.0
        if moved and layer.recurrent is None:
            scale = np.hypot(*(np.linalg.norm(x, axis=1) for x in (inward, biases)))
            per_row = np.where(scale > 0, scale, 1.0)[:, None]
            inward, biases = inward / per_row, biases / per_row
        layers.append(replace(layer, inward=inward, biases=biases))
    layers.append(_without_shift(network.layers[-1], scale))
    if not moved:
        return tuple(layers)
    return (*(_weighed(x, after) for x, after in pairwise(layers)), layers[-1])


def _without_shift(readout: Layer, scale: Floats | float) -> Layer:
    rows = np.hstack([readout.inward * scale, readout.biases])
    if len(rows) > 1:  # a single row is an action itself and no logit
        rows = rows - rows.mean(axis=0)
    rows = rows / (np.linalg.norm(rows) or 1.0)
    inputs = readout.inward.shape[1]
    return Layer(rows[:, :inputs], rows[:, inputs:])


def _weighed(layer: Layer, after: Layer) -> Layer:
    if layer.recurrent is not None:
        return layer
    weight = np.linalg.norm(after.inward, axis=0)[:, None]
    return replace(layer, inward=layer.inward * weight, biases=layer.biases * weight)


def _laid_on(one: tuple[Layer, ...], other: tuple[Layer, ...]) -> float:
    """Return the mean over layers of what differs after units were matched."""
    inputs = one[0].inward.shape[1]
    order, signs = np.arange(inputs), np.ones(inputs)
    distances: list[float] = []
    for mine, theirs in zip(one, other, strict=True):
        laid = replace(theirs, inward=theirs.inward[:, order] * signs)
        if mine is not one[-1]:
            order, gate_signs = _match(mine, laid)
            laid = _reordered(laid, order, gate_signs)
            # The last gate's sign is that of what a unit puts out.
            signs = gate_signs[-1]
        distances.append(_relative(mine, laid))
    return float(np.mean(distances))


def _match(mine: Layer, theirs: Layer) -> tuple[NDArray[np.intp], Floats]:
    """Return which of their units is mine, and with which sign in each gate.

    Returns:
        Order, shape (units,), and signs, shape (gates, units).
    """
    products = _by_gate(mine) @ _by_gate(theirs).transpose(0, 2, 1)
    rows, order = linear_sum_assignment(np.abs(products).sum(axis=0), maximize=True)
    return order, np.where(products[:, rows, order] < 0, -1.0, 1.0)


def _by_gate(layer: Layer) -> Floats:
    rows = np.hstack([layer.inward, layer.biases])
    return rows.reshape(-1, layer.units, rows.shape[1])


def _reordered(layer: Layer, order: NDArray[np.intp], signs: Floats) -> Layer:
    def rows(array: Floats) -> Floats:
        gates = array.reshape(-1, layer.units, array.shape[1])[:, order] * signs[..., None]
        return gates.reshape(array.shape)

    recurrent = layer.recurrent
    if recurrent is not None:
        recurrent = rows(recurrent[:, order] * signs[-1])
    return Layer(rows(layer.inward), rows(layer.biases), recurrent)


def _relative(mine: Layer, theirs: Layer) -> float:
    a, b = (
        np.hstack([x for x in (y.inward, y.biases, y.recurrent) if x is not None])
        for y in (mine, theirs)
    )
    size = np.hypot(np.linalg.norm(a), np.linalg.norm(b))
    return float(np.linalg.norm(a - b) / size) if size > 0 else 0.0
