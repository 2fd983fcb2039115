"""Checks of submitted weights: the registered architecture takes them, and they are no copy."""

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
from scipy.linalg import block_diag
from scipy.optimize import linear_sum_assignment

from snn_gym._base.storage import StorageError, parse_tensors
from snn_gym.leaderboard.manifest import MAX_WEIGHTS_BYTES, WEIGHTS_NAME, SubmissionError, shorten
from snn_gym.leaderboard.results import Row, list_rows, read_below, weights_place
from snn_gym.policies.units import Quantiser
from snn_gym.spiking.assembly import todays_names
from snn_gym.zoo import agent_ids, build_policy

# ---- architecture --------------------------------------------------------------------------------
_MAX_NAMES_SHOWN = 3


@dataclass(frozen=True)
class TensorForm:
    """Shape and element type of a tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype


@functools.lru_cache(maxsize=16)
def _registered_policy(agent: str, env_id: str) -> Any:
    # Any: PyTorch types the attributes of a module that it does not know as tensors.
    return build_policy(agent, env_id)


def _forms(policy: Any) -> dict[str, TensorForm]:
    """Return shape and type of every tensor that acting needs, by name."""
    tensors: dict[str, torch.Tensor] = policy.acting_state_dict()
    return {name: TensorForm(tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}


def trained_tensors(
    tensors: Mapping[str, torch.Tensor], agent: str, env_id: str
) -> dict[str, torch.Tensor]:
    """Return the trained ones of ``tensors``, ordered from observations to actions."""
    names = (name for name, _ in _registered_policy(agent, env_id).named_parameters())
    return {name: tensors[name] for name in names if name in tensors}


def check_tensors(tensors: Mapping[str, torch.Tensor], agent: str, env_id: str) -> None:
    """Refuse tensors whose number, names, types, shapes or values do not fit the architecture."""
    # Of the sizes that the agent may have left; the cached policy must not change.
    fresh: Any = build_policy(agent, env_id, tensors)
    expected = _forms(fresh)
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
    try:
        fresh.load_acting_state_dict(tensors)
    except (ValueError, RuntimeError) as error:  # a part of the policy raises the latter
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
# Many weights give the same network: hidden units in another order; an odd function with all signs
# of its weights changed; inputs of ReLU units scaled up and outputs scaled down; logits shifted or
# scaled; other observation statistics with other first weights. So two networks are aligned before
# they are compared: layer by layer, each unit is matched with the most similar one, by the
# assignment of least cost (as in Ainsworth et al. 2023, https://arxiv.org/abs/2209.04836, section
# 3.2).
Floats = NDArray[np.float64]
_FIELDS = ".receptive_fields"  # module of a learned encoder
_QUANTISED = ".parametrizations.weight"  # module that holds the floats before they are rounded

NEAR = 0.15
"""Distance below which weights are a copy: half of the least distance between stored rows."""


@dataclass(frozen=True)
class Layer:
    """Weights of a layer; a gated unit has a row for each gate, and the rows of a gate adjoin."""

    inward: Floats
    """From the layer below. Shape (gates * units, inputs)."""
    biases: Floats
    """Shape (gates * units, biases); gated layers have two."""
    recurrent: Floats | None = None
    """Shape (gates * units, units)."""

    @property
    def units(self) -> int:
        """Number of units; a gated unit counts once."""
        return len(self.inward) if self.recurrent is None else self.recurrent.shape[1]


@dataclass(frozen=True)
class Network:
    """Weights of an acting network, from observations to actions."""

    layers: tuple[Layer, ...]
    """Hidden layers and, last, the readout."""
    mean: Floats | None = None
    """Mean and standard deviation of the normaliser; None without one."""
    std: Floats | None = None

    @property
    def form(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the layers; only networks of equal form have a distance."""
        return tuple((*x.inward.shape, x.units, x.biases.shape[1]) for x in self.layers)


def read_network(tensors: Mapping[str, torch.Tensor], agent: str, environment: str) -> Network:
    """Return trained tensors and observation statistics as layers, without features extractors."""
    parts: dict[str, dict[str, list[Floats]]] = {}
    for name, tensor in trained_tensors(tensors, agent, environment).items():
        if ".features_extractor." in name:  # of images: no chain of layers of units
            continue
        prefix, _, leaf = name.rpartition(".")
        recurrent = prefix.endswith(".recurrent") or leaf.startswith("weight_hh")
        kind = "biases" if tensor.dim() == 1 else "recurrent" if recurrent else "inward"
        values = tensor
        if leaf == "decay_logit":  # of leaky integrators, each of which receives itself alone
            kind, values = "recurrent", tensor.sigmoid().diag()
        elif prefix.endswith(_FIELDS):  # a layer of units that each see one observed value
            kind, values = ("biases", tensor.flatten()) if leaf == "widths" else (
                "inward", torch.from_numpy(block_diag(*tensor.unsqueeze(2).numpy()))
            )  # fmt: skip
        elif prefix.endswith(_QUANTISED):  # the network acts by the rounded weights alone
            values = Quantiser(_registered_policy(agent, environment).bits)(tensor)
        for suffix in (_QUANTISED, ".recurrent", ".linear"):
            prefix = prefix.removesuffix(suffix)
        parts.setdefault(prefix, {}).setdefault(kind, []).append(values.numpy().astype(np.float64))
    ordered = sorted(parts.items(), key=lambda part: not part[0].endswith(_FIELDS))
    layers = tuple(_layer(part) for _, part in ordered if "inward" in part)
    *hidden, readout = layers
    # Of populations, each output reads its own neurons.
    if hidden and hidden[-1].units == readout.inward.size != readout.inward.shape[1]:
        layers = (*hidden, replace(readout, inward=block_diag(*readout.inward)))
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
    """Return the relative distance of aligned weights: 0 for copies, about 1 for unrelated ones.

    It is the mean over layers of the norm of the difference over the root of the sum of both
    squared norms: the least of four, with and without equal observation statistics and equal
    scales of units. ValueError if the forms differ.
    """
    if one.form != other.form:
        raise ValueError(
            f"networks have the forms {one.form} and {other.form}; expected equal ones"
        )
    variants = (other, _with_statistics(other, one))
    return min(
        _aligned_distance(_scaled(one, moved), _scaled(variant, moved))
        for variant, moved in product(variants, (False, True))
    )


def check_is_no_copy(
    leaderboard: Path,
    agent: str,
    environment: str,
    tensors: Mapping[str, torch.Tensor],
    parent: Row | None = None,
) -> None:
    """Refuse weights nearer than `NEAR` to those of a stored row, except the parent's."""
    network = read_network(tensors, agent, environment)
    shapes = _shapes(tensors)
    for row in list_rows(leaderboard):
        if parent is not None and row.content_sha256 == parent.content_sha256:
            continue
        stored = stored_tensors(leaderboard, row)
        # An agent that has left the zoo has no architecture that orders its tensors.
        if _shapes(stored) != shapes or row.agent not in agent_ids():
            continue
        candidate = read_network(stored, row.agent, row.environment)
        if candidate.form != network.form:
            continue
        value = distance(network, candidate)
        if value < NEAR:
            raise SubmissionError(
                "near-copy",
                f"the weights are {value:.2g} from those of {row.agent} on {row.environment} with "
                f"seed {row.seed}; expected {NEAR} or more, as between independent trainings; "
                "train from the start with another seed, or verify with --retrain, which shows "
                "that it was",
            )


def stored_tensors(leaderboard: Path, row: Row) -> dict[str, torch.Tensor]:
    """Return the tensors of a stored row by current names; SubmissionError if unreadable."""
    place = weights_place(row.place)
    try:
        data = read_below(leaderboard, place, MAX_WEIGHTS_BYTES)
        return todays_names(parse_tensors(data, where=Path(place).name)[0])
    except StorageError as error:
        raise SubmissionError("row-weights", f"{place}: {error}; see `snn-gym audit`") from error


def _shapes(tensors: Mapping[str, torch.Tensor]) -> Counter[tuple[int, ...]]:
    return Counter(tuple(tensor.shape) for tensor in tensors.values() if tensor.dim() > 1)


def _with_statistics(network: Network, target: Network) -> Network:
    """Return an equivalent network with another's observation statistics, if both have some."""
    mean, std = network.mean, network.std
    if mean is None or std is None or target.mean is None or target.std is None:
        return network
    first = network.layers[0]
    biases = first.biases.copy()
    biases[:, 0] += first.inward @ ((target.mean - mean) / std)
    inward = first.inward * (target.std / std)
    return Network((replace(first, inward=inward, biases=biases), *network.layers[1:]))


def _scaled(network: Network, moved: bool) -> tuple[Layer, ...]:
    """Return layers without shift and scale of logits; ``moved`` moves unit scales to outputs."""
    layers: list[Layer] = []
    scale: Floats | float = 1.0
    for layer in network.layers[:-1]:
        inward, biases = layer.inward * _spread(scale, layer), layer.biases
        scale = 1.0
        if moved and layer.recurrent is None:
            # Then inputs have norm 1 and count as much as outputs, so that idle units do not.
            scale = np.hypot(*(np.linalg.norm(x, axis=1) for x in (inward, biases)))
            per_row = np.where(scale > 0, scale, 1.0)[:, None]
            inward, biases = inward / per_row, biases / per_row
        layers.append(replace(layer, inward=inward, biases=biases))
    layers.append(_without_shift(network.layers[-1], scale))
    if not moved:
        return tuple(layers)
    return (*(_weighed(x, after) for x, after in pairwise(layers)), layers[-1])


def _spread(scale: Floats | float, layer: Layer) -> Floats | float:
    """Return a scale of each input of a layer for one of each unit below.

    A filter stands at many places, which are inputs side by side.
    """
    if isinstance(scale, float):
        return scale
    return np.repeat(scale, layer.inward.shape[1] // len(scale))


def _without_shift(readout: Layer, scale: Floats | float) -> Layer:
    rows = np.hstack([readout.inward * _spread(scale, readout), readout.biases])
    if len(rows) > 1:  # a single row is an action, not a logit
        rows = rows - rows.mean(axis=0)
    rows = rows / (np.linalg.norm(rows) or 1.0)
    inputs = readout.inward.shape[1]
    return Layer(rows[:, :inputs], rows[:, inputs:])


def _weighed(layer: Layer, after: Layer) -> Layer:
    if layer.recurrent is not None:
        return layer
    read = after.inward.reshape(len(after.inward), layer.units, -1)
    weight = np.linalg.norm(read, axis=(0, 2))[:, None]
    return replace(layer, inward=layer.inward * weight, biases=layer.biases * weight)


def _aligned_distance(one: tuple[Layer, ...], other: tuple[Layer, ...]) -> float:
    """Return the layers' mean relative distance, the other's units reordered and signed to fit."""
    inputs = one[0].inward.shape[1]
    order, signs = np.arange(inputs), np.ones(inputs)
    distances: list[float] = []
    for mine, theirs in zip(one, other, strict=True):
        # Places of a filter move with it.
        places = np.arange(theirs.inward.shape[1]).reshape(len(order), -1)[order].ravel()
        inward = theirs.inward[:, places] * _spread(signs, theirs)
        aligned = replace(theirs, inward=inward)
        if mine is not one[-1]:
            order, gate_signs = _match(mine, aligned)
            aligned = _reordered(aligned, order, gate_signs)
            # The last gate determines the sign of a unit's output.
            signs = gate_signs[-1]
        distances.append(_relative_distance(mine, aligned))
    return float(np.mean(distances))


def _match(mine: Layer, theirs: Layer) -> tuple[NDArray[np.intp], Floats]:
    """Return the order (units,) in which their units fit mine best, and signs (gates, units)."""
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

    loop = layer.recurrent
    recurrent = None if loop is None else rows(loop[:, order] * signs[-1])
    return Layer(rows(layer.inward), rows(layer.biases), recurrent)


def _relative_distance(mine: Layer, theirs: Layer) -> float:
    a, b = (
        np.hstack([x for x in (y.inward, y.biases, y.recurrent) if x is not None])
        for y in (mine, theirs)
    )
    size = np.hypot(np.linalg.norm(a), np.linalg.norm(b))
    return float(np.linalg.norm(a - b) / size) if size > 0 else 0.0
