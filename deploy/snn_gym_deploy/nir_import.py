"""Import of NIR graphs of any framework as trainable networks, and their submissions.

A graph is a chain of affine maps and neurons from its input to its output, and a layer of neurons
may have one linear loop. Our neurons repeat explicit Euler steps of the graph's equations:

- LIF is ``lif_box`` and CubaLIF ``lif``, with the resistance and the gain of the current in the
  weights; IF is ``iaf``, with ``r dt`` in the weights;
- neurons of a layer may differ in ``r``, ``w_in`` and, where they rest at 0, in their threshold,
  which goes into the weights too; they share their time constants;
- successive affine maps become one; a missing map before neurons or the output is the identity.

Time constants and thresholds are read as the simplest decimal numbers of which ``to_nir`` makes the
same float32, so that a network of ours comes back bit for bit.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor, nn

from snn_gym.leaderboard import shorten, submit_imported
from snn_gym.policies import SpikingPolicy
from snn_gym.program import (
    NEURONS,
    IAFParameters,
    LIFBoxParameters,
    LIFParameters,
    NeuronParameters,
    Program,
)
from snn_gym.spiking import NetworkConfig, SpikingLayer, SpikingNetwork
from snn_gym.zoo import (
    Identity,
    build_policy,
    load_agent_spec,
    make_agent,
    policy_arguments,
    remember_identity,
)
from snn_gym_deploy.nir_file import Array, Node, read_graph
from snn_gym_deploy.nir_graph import Chain, Host, chain_of, node_numbers, read_host

# ---- neurons -------------------------------------------------------------------------------------
DT_MS = 1.0  # time step of imported networks, whatever the graph's: only ratios matter
_EXACT = 1e-6
_DIGITS = range(1, 10)


@dataclass(frozen=True)
class Neurons:
    """A layer's neurons: registered name, and parameters at time steps of ``DT_MS``."""

    neuron: str
    parameters: NeuronParameters
    scale: Array
    """(N,), factors of their inputs."""


def neurons_of(node: Node, name: str, size: int, dt_s: float) -> Neurons:
    """Return our neurons for a node of LIF, CubaLIF or IF, with constants for steps of ``dt_s``."""
    values = {field: _each(x, field, name, size) for field, x in node.arrays.items()}
    try:
        return {"LIF": _lif_box, "CubaLIF": _lif, "IF": _iaf}[node.kind](values, dt_s)
    except ValueError as error:
        raise ValueError(f"{node.kind} {name!r}: {error}") from error


def _each(values: Array, field: str, name: str, size: int) -> Array:
    """Return one value for each neuron (``size``,) from as many or a single one."""
    if values.size not in (1, size):
        raise ValueError(
            f"{field} of {name!r} has the shape {values.shape}; expected one value for each of "
            f"{size} neurons"
        )
    return np.broadcast_to(values.reshape(-1), (size,))


def _lif_box(values: Mapping[str, Array], dt_s: float) -> Neurons:
    tau = _time_constant(values, "tau")
    potentials, scale = _potentials(values, np.ones_like(values["r"]))
    simple = _Simple("lif_box", {"tau_mem_ms": tau / dt_s * DT_MS, **potentials})
    simple.settle("tau_mem_ms", {"tau": tau})
    return Neurons("lif_box", LIFBoxParameters(**simple.values), scale * values["r"])


def _lif(values: Mapping[str, Array], dt_s: float) -> Neurons:
    tau_mem, tau_syn = (_time_constant(values, x) for x in ("tau_mem", "tau_syn"))
    if (values["r"] <= 0).any():
        raise ValueError("r must be above 0; turn the weights' sign instead")
    # In units of r the potential moves by the current itself.
    potentials, scale = _potentials(values, values["r"])
    simple = _Simple(
        "lif",
        {"tau_mem_ms": tau_mem / dt_s * DT_MS, "tau_syn_ms": tau_syn / dt_s * DT_MS, **potentials},
    )
    simple.settle("tau_mem_ms", {"tau_mem": tau_mem})
    simple.settle("tau_syn_ms", {"tau_syn": tau_syn})
    stored = {x: float(values[x][0]) for x in ("v_threshold", "r")}
    simple.settle("v_threshold", stored)
    jump = np.where(
        np.float32(simple.written()["w_in"]) == values["w_in"].astype(np.float32),
        1.0,
        values["w_in"] * dt_s / tau_syn,
    )
    return Neurons("lif", LIFParameters(**simple.values), scale * jump)


def _iaf(values: Mapping[str, Array], dt_s: float) -> Neurons:
    potentials, scale = _potentials({**values, "v_leak": values["v_reset"]}, np.ones(1))
    del potentials["v_leak"]
    jump = values["r"] * dt_s
    return Neurons(
        "iaf", IAFParameters(**potentials), scale * np.where(np.abs(jump - 1) < _EXACT, 1.0, jump)
    )


def _time_constant(values: Mapping[str, Array], field: str) -> float:
    tau = values[field]
    if (tau != tau[0]).any() or tau[0] <= 0:
        raise ValueError(
            f"{field} is {tau.min():g} to {tau.max():g}; expected one time constant above 0 for "
            "all neurons of a layer"
        )
    return float(tau[0])


def _potentials(values: Mapping[str, Array], unit: Array) -> tuple[dict[str, float], Array]:
    """Return a layer's threshold, reset and rest, in ``unit``, and factors (N,) of its inputs.

    If thresholds differ between neurons, they become 1, and the factors their inverses. Other
    differences raise ValueError.
    """
    potentials = {x: values[x] / unit for x in ("v_threshold", "v_reset", "v_leak")}
    if all((x == x[0]).all() for x in potentials.values()):
        same = {name: float(np.float32(x[0])) for name, x in potentials.items()}
        return same, np.ones_like(values["r"])
    threshold = potentials["v_threshold"]
    if values["v_leak"].any() or values["v_reset"].any() or (threshold <= 0).any():
        raise ValueError(
            "v_leak, v_reset and v_threshold differ between neurons; expected the same ones for "
            "a layer, or thresholds above 0 alone that differ"
        )
    return {"v_threshold": 1.0, "v_reset": 0.0, "v_leak": 0.0}, 1.0 / threshold


class _Simple:
    """Parameters of a neuron, which are rounded one after the other to simple numbers."""

    def __init__(self, neuron: str, values: dict[str, float]) -> None:
        self._neuron, self.values = neuron, values

    def written(self, **changed: Any) -> dict[str, float]:
        """Return the numbers that ``to_nir`` would write in the fields of the node."""
        neuron = NEURONS[self._neuron]
        parameters = neuron.Parameters(**{**self.values, **changed})
        constants = neuron.constants(parameters, DT_MS)
        rounded = {name: float(np.float32(x)) for name, x in constants.items()}
        return node_numbers(neuron, rounded)

    def settle(self, parameter: str, stored: Mapping[str, float]) -> None:
        """Round a parameter to as few digits as make ``to_nir`` write the numbers ``stored``.

        Without such digits it stays unchanged.
        """

        def fits(value: float) -> bool:
            written = self.written(**{parameter: value})
            return all(np.float32(written[x]) == np.float32(y) for x, y in stored.items())

        near = [float(f"{self.values[parameter]:.{digits}g}") for digits in _DIGITS]
        simple = (value for value in near if value > 0 and fits(value))
        self.values[parameter] = next(simple, self.values[parameter])


# ---- graphs --------------------------------------------------------------------------------------
CLIP = 5.0  # limit of standardised observations in our policies
_AGENTS = {
    ("reset", "argmax"): "ppo-lif",
    ("reset", "clip"): "ppo-lif",
    ("reset", "squash"): "sac-lif",
    ("carried", "argmax"): "recurrent-ppo-lsnn",
    ("carried", "clip"): "recurrent-ppo-lsnn",
}


@dataclass(frozen=True)
class NIRNetwork:
    """A graph as our network: layers in order, neurons of each layer, and host."""

    chain: Chain
    neurons: tuple[Neurons, ...]
    host: Host

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments of ``NetworkConfig`` for the network."""
        names, parameters = zip(*((x.neuron, x.parameters) for x in self.neurons), strict=True)
        alike = len(set(names)) == 1 and all(x == parameters[0] for x in parameters)
        return {
            "hidden_sizes": tuple(len(x.biases) for x in self.chain.layers),
            "time_steps": self.host.time_steps,
            "dt_ms": DT_MS,
            "neuron": names[0] if alike else names,
            "neuron_parameters": parameters[0] if alike else parameters,
            "learnable": (),
            "recurrent": any(x.recurrent is not None for x in self.chain.layers),
            "encoder": "constant",
            "encoder_parameters": None,
            "decoder": "mean_rate",
            "decoder_parameters": None,
        }


def read_nir(
    path: str | os.PathLike[str], host: str | os.PathLike[str] | None = None
) -> NIRNetwork:
    """Read an untrusted graph and the description of its host, by default the JSON beside it."""
    graph = read_graph(path)
    beside = Path(path).with_suffix(".json")
    if host is None and not beside.exists():
        raise ValueError(
            f"{shorten(Path(path).name)} has no {shorten(beside.name)} beside it for its "
            "host; write one, or name it (host, --host)"
        )
    described = read_host(beside if host is None else host)
    try:
        with np.errstate(all="ignore"):  # overflow is refused when weights are copied
            chain = chain_of(graph)
            neurons = tuple(
                neurons_of(x.neurons, x.name, len(x.biases), described.dt_s) for x in chain.layers
            )
        network = NIRNetwork(chain, neurons, described)
        NetworkConfig(**network.settings)
    except ValueError as error:
        raise ValueError(f"{Path(path).name}: {error}") from error
    if chain.inputs != described.observation.values:
        raise ValueError(
            f"{Path(path).name} takes {chain.inputs} values, and its host gives "
            f"{described.observation.values}; expected as many"
        )
    return network


def network_from_nir(
    path: str | os.PathLike[str], host: str | os.PathLike[str] | None = None
) -> SpikingNetwork:
    """Import a graph as a trainable network.

    Its inputs are the graph's, standardised observations (B, D) or spike trains (B, T, D); its
    outputs are the means of the graph's over a decision's time steps.

    Args:
        path: As for ``from_nir``.
        host: As for ``from_nir``.

    Raises:
        ValueError: As ``from_nir``.
    """
    graph = read_nir(path, host)
    config, spikes = NetworkConfig(**graph.settings), graph.host.observation.form == "spikes"
    network = SpikingNetwork(
        config,
        graph.chain.inputs,
        len(graph.chain.head_biases),
        spike_steps=config.time_steps if spikes else None,
    )
    assert network.head is not None  # networks with outputs have one
    load_weights(graph, network, network.head)
    return network


def from_nir(
    path: str | os.PathLike[str],
    env_id: str,
    *,
    host: str | os.PathLike[str] | None = None,
    agent: str | None = None,
    seed: int = 0,
) -> BaseAlgorithm:
    """Import a graph as an agent, which acts as the graph's host describes and can go on learning.

    Args:
        path: HDF5 file, of ``to_nir`` or of another framework.
        env_id: Gymnasium id of the environment.
        host: JSON file that describes the host, as ``to_nir`` writes it; the one beside the graph
            (``agent.json`` of ``agent.nir``) if None.
        agent: Agent of the zoo whose algorithm, critic and hyper-parameters further learning uses;
            None for ``ppo-lif``, for ``sac-lif`` if actions are squashed, or for
            ``recurrent-ppo-lsnn`` if the state is carried.
        seed: Seed of all that the graph lacks, such as the critic.

    Returns:
        The model, which counts as made by hand, not of the zoo.

    Raises:
        ValueError: A file is damaged or of another kind, the graph is no network of ours, or graph
            and environment do not fit.
    """
    graph = read_nir(path, host)
    model = make_agent(
        agent or agent_for(graph.host), env_id, seed,
        network=graph.settings, normalise_observations=is_normalised(graph.host),
    )  # fmt: skip
    policy = model.policy
    assert isinstance(policy, SpikingPolicy)  # agents with a network of neurons have no other
    load_into(graph, policy)
    remember_identity(model, Identity(None, env_id, seeding="disjoint"))
    return model


def agent_for(host: Host) -> str:
    """Return the zoo's agent whose policy acts as a host describes; ValueError if none does."""
    key = host.state, host.action.choice
    if key not in _AGENTS:
        raise ValueError(
            f"no policy has a state that is {key[0]} and actions by {key[1]!r}; expected 'clip'"
        )
    return _AGENTS[key]


def is_normalised(host: Host) -> bool:
    """Return whether a host standardises by a policy's normaliser: with the limit ``CLIP``.

    Without a limit, standardisation goes into the weights; other limits raise ValueError.
    """
    scale = host.observation.standardised
    if scale is None or scale.clip is None:
        return False
    if scale.clip != CLIP:
        raise ValueError(
            f"standardised observations are within {scale.clip:g}; expected {CLIP:g}, as policies "
            "here have it, or null for no limit"
        )
    return True


def load_into(graph: NIRNetwork, policy: SpikingPolicy) -> None:
    """Load a graph into a policy of its settings, in eval mode; ValueError if it acts otherwise."""
    network = policy.acting_network()
    head = network.head if network.head is not None else policy.readout()
    assert head is not None  # the network's own, or the policy's
    _check_fit(graph, network, head)
    load_weights(graph, network, head)
    scale = graph.host.observation.standardised
    if scale is not None and policy.normaliser is not None:
        policy.normaliser.mean.copy_(torch.tensor(scale.mean))
        policy.normaliser.std.copy_(torch.tensor(scale.std))
    policy.train(False)
    _check_acts(graph.host, policy.program())


def _check_fit(graph: NIRNetwork, network: SpikingNetwork, head: nn.Module) -> None:
    given = graph.chain.inputs, len(graph.chain.head_biases), graph.host.observation.form
    form = "spikes" if network.spike_input else "held"
    expected = network.input_size, int(torch.as_tensor(head.bias).numel()), form
    if given != expected:
        names = "{} values, gives {} and has observations that are {}"
        raise ValueError(
            f"the graph takes {names.format(*given)}; the environment asks for one that takes "
            f"{names.format(*expected)}"
        )
    if network.config.time_steps != graph.host.time_steps:
        raise ValueError(
            f"the host has {graph.host.time_steps} time steps, and observations have "
            f"{network.config.time_steps}; expected as many"
        )


def _check_acts(host: Host, program: Program) -> None:
    """Refuse a program with another choice, state or limits of actions than a host."""
    low, high = (np.array(x, np.float32) for x in (host.action.low, host.action.high))
    state = "carried" if program.stateful else "reset"
    if (program.choice.rule, state) != (host.action.choice, host.state):
        raise ValueError(
            f"the host chooses by {host.action.choice!r} with a state that is {host.state}; this "
            f"policy by {program.choice.rule!r} with one that is {state}; name another agent"
        )
    if not (np.array_equal(low, program.choice.low) and np.array_equal(high, program.choice.high)):
        raise ValueError(
            f"the host's actions are within {low.tolist()} and {high.tolist()}; the environment's "
            f"within {program.choice.low.tolist()} and {program.choice.high.tolist()}"
        )


@torch.no_grad()
@np.errstate(all="ignore")  # overflow is refused in ``_copy``
def load_weights(graph: NIRNetwork, network: SpikingNetwork, head: nn.Module) -> None:
    """Load a graph's weights into a network of its form; ValueError if one overflows."""
    weights, biases = graph.chain.layers[0].weights, graph.chain.layers[0].biases
    scale = graph.host.observation.standardised
    if scale is not None and scale.clip is None:
        # W (x - mean) / std + b
        weights = weights / np.array(scale.std)
        biases = biases - weights @ np.array(scale.mean)
    for k, (layer, own, neurons) in enumerate(
        zip(network.layers, graph.chain.layers, graph.neurons, strict=True)
    ):
        assert isinstance(layer, SpikingLayer)  # networks of neurons have no other layers
        scales = neurons.scale[:, np.newaxis]
        _copy(layer.linear.weight, scales * (own.weights if k else weights))
        _copy(layer.linear.bias, neurons.scale * (own.biases if k else biases))
        if layer.recurrent is not None:
            loop = np.zeros((layer.size, layer.size)) if own.recurrent is None else own.recurrent
            _copy(layer.recurrent.weight, scales * loop)
    _copy(head.weight, graph.chain.head_weights)
    _copy(head.bias, graph.chain.head_biases)


def _copy(into: Tensor | nn.Module, values: NDArray[np.float64]) -> None:
    """Copy values into a tensor; ValueError if one overflows."""
    assert isinstance(into, Tensor)
    into.copy_(torch.from_numpy(np.ascontiguousarray(values)))
    if not bool(torch.isfinite(into).all()):
        raise ValueError(
            "the graph's weights, with the numbers of its neurons and host, are too large for "
            "32-bit floats; scale them down"
        )


# ---- submissions ---------------------------------------------------------------------------------
def submit_nir(
    path: str | os.PathLike[str],
    env_id: str,
    agent: str,
    out: str | os.PathLike[str],
    *,
    host: str | os.PathLike[str] | None = None,
    seed: int = 0,
    steps: int = 0,
    seeds: Sequence[int] | None = None,
) -> Path:
    """Evaluate a graph that was trained elsewhere and write its submission folder.

    Args:
        path: HDF5 file.
        env_id: Gymnasium id of an environment for which the agent is registered.
        agent: Agent of budget class ``imported``, whose folder in agents/ names the network.
        out: Folder to write.
        host: JSON file that describes the graph's host; the one beside the graph if None.
        seed: Seed of its training, which tells an agent's rows apart.
        steps: Environment steps of its training; 0 if unknown.
        seeds: As for ``snn_gym.leaderboard.submit``.

    Returns:
        The submission folder.

    Raises:
        ValueError: The agent is unknown, trained here, not registered for the environment, or has
            another network; or the graph is no agent on the environment.
    """
    graph, spec = read_nir(path, host), load_agent_spec(agent)
    if env_id not in spec.environments:
        raise ValueError(
            f"{agent} is not registered for {env_id}; add the table "
            f'[environments."{env_id}"] to agents/{agent}/agent.toml'
        )
    arguments = policy_arguments(spec, env_id)
    own, given = arguments["network"], NetworkConfig(**graph.settings)
    changed = [key for key in graph.settings if getattr(own, key) != getattr(given, key)]
    if arguments.get("normalise_observations", True) != is_normalised(graph.host):
        changed.append("normalise_observations")
    if changed:
        raise ValueError(
            f"the graph has another {', '.join(changed)} than agent {agent!r}; submit it as "
            "another agent, with a folder in agents/"
        )
    policy = build_policy(agent, env_id)
    assert isinstance(policy, SpikingPolicy)  # imported agents have no other
    load_into(graph, policy)
    return submit_imported(policy, agent, env_id, out, seed=seed, steps=steps, seeds=seeds)
