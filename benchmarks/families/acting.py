"""Acting: networks and whole policies, beside other libraries, the dense floor and MLPs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks import floor
from benchmarks.agents import Agent, default_agent, lean_agent, stock, twin
from benchmarks.measurement import Effort, Experiment, Measurement, Readings, costs, faster
from benchmarks.peers import (
    COMPILED,
    COMPILED_NAMES,
    PEER_NAMES,
    Forward,
    build_peers,
    check_equal,
    compiled,
)
from benchmarks.timing import Run, race
from snn_gym.policies import freeze
from snn_gym.program import CompiledProgram
from snn_gym.spiking import SpikingNetwork

TIME_STEPS = 8
FLOOR = "dense products"
PREDICT, FORWARD = "predict", "forward"
FROZEN = "frozen, one compiled call"
TWIN, STOCK, MODULE, ONE_CALL = (
    "ppo-mlp, predict",
    "MlpPolicy, predict",
    "MLP, PyTorch module",
    "ppo-mlp frozen, one compiled call",
)
_PREDICTING = ", predict"
_PEER_CASES = ((64, 1), (64, 8), (64, 256), (256, 1), (256, 8), (256, 256))
_LEAN_CASES = ((64, 1), (64, 8), (256, 1), (256, 8))


def without_gradient(forward: Forward, x: Tensor) -> Run:
    """Return a function that decides under ``no_grad``."""

    def run() -> None:
        with torch.no_grad():
            forward(x)

    return run


def plain_forward(network: SpikingNetwork) -> Forward:
    """Return ``SpikingNetwork.forward`` as a PyTorch user calls it, its output alone."""
    return lambda x: network(x)[0]


def all_peers(
    network: SpikingNetwork, x: Tensor, effort: Effort, *, compile_too: bool = True
) -> tuple[dict[str, Forward], dict[str, str]]:
    """Return the peers' networks, as they come and compiled by PyTorch, all giving our rates.

    Args:
        network: The network to copy.
        x: Inputs (B, I) to compare them on.
        effort: A quick run leaves the compiled ones out.
        compile_too: Whether any run has them: a shape takes minutes at the first time.
    """
    peers, missing = build_peers(network)
    if compile_too and effort.quick:
        missing |= dict.fromkeys(COMPILED_NAMES, "left out by --quick")
    elif compile_too:
        torch._dynamo.reset()  # it gives up on code of many shapes
        cache = effort.scratch / "compiled"
        peers |= {f"{name}{COMPILED}": compiled(peer, cache) for name, peer in peers.items()}
    check_equal(peers, plain_forward(network), x)
    return peers, missing


def predicting(agent: Agent, forward: Forward, observations: NDArray[np.float32]) -> Run:
    """Return a function from observations to actions by a peer's network, as thin as can be."""
    policy: Any = agent.model.policy

    def run() -> NDArray[np.int64]:
        with torch.no_grad():
            inputs = policy.mlp_extractor.normalised(torch.from_numpy(observations))
            actions: NDArray[np.int64] = policy.action_net(forward(inputs)).argmax(1).numpy()
        return actions

    return run


def _ours(agent: Agent, batch: int) -> dict[str, Run]:
    network, x, observations = agent.network, agent.inputs(batch), agent.sample(batch)
    return {
        PREDICT: lambda: agent.model.predict(observations, deterministic=True),
        FORWARD: without_gradient(plain_forward(network), x),
    }


def _beside_peers(width: int, batch: int) -> Callable[[Effort], Readings]:
    def run(effort: Effort) -> Readings:
        agent = default_agent(width, effort.scratch)
        x, observations = agent.inputs(batch), agent.sample(batch)
        peers, missing = all_peers(agent.network, x, effort, compile_too=width == 64)
        contenders = _ours(agent, batch)
        for name, forward in peers.items():
            contenders[name] = without_gradient(forward, x)
            contenders[f"{name}{_PREDICTING}"] = predicting(agent, forward, observations)
        contenders[FLOOR] = floor.products((4, width, width), TIME_STEPS, batch)
        notes = (agent.describe(f"ppo-lif {width}-{width}"),)
        return Readings(race(contenders, effort.seconds), missing=missing, notes=notes)

    return run


def _beside_mlps(width: int, batch: int) -> Callable[[Effort], Readings]:
    def run(effort: Effort) -> Readings:
        agent = lean_agent(width, effort.scratch)
        x, observations = agent.inputs(batch), agent.sample(batch)
        ann, plain = twin(width), stock(width)
        policy: Any = plain.policy
        module = nn.Sequential(policy.mlp_extractor.policy_net, policy.action_net)
        frozen, one_call = freeze(agent.model), freeze(ann)
        call, ann_call = CompiledProgram(frozen.program), CompiledProgram(one_call.program)
        contenders = _ours(agent, batch) | {
            TWIN: lambda: ann.predict(observations, deterministic=True),
            STOCK: lambda: plain.predict(observations, deterministic=True),
            MODULE: without_gradient(module, x),
            FROZEN: lambda: call.outputs(observations),
            f"{FROZEN}{_PREDICTING}": lambda: frozen.predict(observations),
            ONE_CALL: lambda: ann_call.outputs(observations),
            f"{ONE_CALL}{_PREDICTING}": lambda: one_call.predict(observations),
            FLOOR: floor.products((4, width, width), TIME_STEPS, batch),
        }
        notes = (agent.describe(f"lean ppo-lif {width}-{width}"),)
        return Readings(race(contenders, effort.seconds), notes=notes)

    return run


def _name(width: int, batch: int, lean: bool = False) -> str:
    return f"acting-{'lean-' if lean else ''}{width}-batch-{batch}"


def _where(width: int, batch: int) -> str:
    return f"{width}-{width}, T = {TIME_STEPS}, batch {batch}"


EXPERIMENTS = tuple(
    Experiment(
        _name(width, batch),
        f"Acting, default agent, {_where(width, batch)}",
        _beside_peers(width, batch),
    )
    for width, batch in _PEER_CASES
) + tuple(
    Experiment(
        _name(width, batch, lean=True),
        f"Acting, lean agent, {_where(width, batch)}",
        _beside_mlps(width, batch),
    )
    for width, batch in _LEAN_CASES
)


def _peer_measurements(width: int, batch: int) -> list[Measurement]:
    name, where = _name(width, batch), _where(width, batch)
    found = []
    for ours, suffix in ((PREDICT, _PREDICTING), (FORWARD, "")):
        for peers, words, promised in (
            (PEER_NAMES, "the best of Norse, SpikingJelly and snnTorch", True),
            (COMPILED_NAMES, "the best of the three under torch.compile", False),
        )[: 2 if width == 64 else 1]:
            judged = (9.0, 20.0) if promised and batch < 256 and width == 64 else (None, None)
            found.append(
                Measurement(
                    f"{name}-{ours}-{'eager' if promised else 'compiled'}",
                    name,
                    f"acting, `{ours}`, {where}",
                    words,
                    "×",
                    faster(ours, *(f"{peer}{suffix}" for peer in peers)),
                    *judged,
                )
            )
    return found


def _floor_measurement(width: int, batch: int) -> Measurement:
    name = _name(width, batch)
    return Measurement(
        f"{name}-floor",
        name,
        f"acting, `forward`, {_where(width, batch)}",
        "the dense floor of its products",
        "×",
        costs(FORWARD, FLOOR),
        1.5,
        1.0,
        at_least=False,
    )


def _lean_measurements(width: int, batch: int) -> list[Measurement]:
    name, where = _name(width, batch, lean=True), f"lean agent, {_where(width, batch)}"
    promised = (1.0, 2.0) if width == 256 else (None, 2.0)
    return [
        Measurement(
            f"{name}-pytorch",
            name,
            f"`predict`, {where}",
            "the faster of ppo-mlp and stock MlpPolicy through `predict`",
            "×",
            faster(PREDICT, TWIN, STOCK),
            1.0,
            2.0,
        ),
        *(
            Measurement(
                f"{name}-{key}-compiled-mlp",
                name,
                f"{words}, {where}",
                f"{against}, observations to {target}",
                "×",
                faster(ours, mlp),
                *promised,
            )
            for key, words, ours, against, mlp, target in (
                (
                    PREDICT,
                    "`predict`",
                    PREDICT,
                    "its twin in one compiled call",
                    ONE_CALL,
                    "outputs",
                ),
                ("frozen", "frozen", FROZEN, "its twin frozen", ONE_CALL, "outputs"),
                (
                    "frozen-predict",
                    "`predict`, frozen",
                    f"{FROZEN}{_PREDICTING}",
                    "its twin's `predict`, frozen",
                    f"{ONE_CALL}{_PREDICTING}",
                    "actions",
                ),
            )
        ),
    ]


MEASUREMENTS = (
    *(found for case in _PEER_CASES for found in _peer_measurements(*case)),
    *(_floor_measurement(*case) for case in _PEER_CASES if 256 in case),
    *(found for case in _LEAN_CASES for found in _lean_measurements(*case)),
)
