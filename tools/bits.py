"""Short trainings and parts of arithmetic whose digests show whether this machine rounds as others.

    python -m tools.bits            # compare with tools/bits.json, all agents of the zoo
    python -m tools.bits --write    # write it anew, after a learner or a pinned package changed
    python -m tools.bits --time     # processor time of portable numerics over native ones

Numerics are portable, so every x86 processor with AVX2 gives the same digests under the same
packages; `processors` in the file names those that did.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import snn_gym
from snn_gym._base.numerics import one_thread, variables_of

FILE = Path(__file__).with_suffix(".json")
WATCHED = ("ppo-lif", "ppo-mlp", "dqsn", "sac-lif", "recurrent-ppo-lsnn", "recurrent-ppo-gru")
"""Agents that ``make test`` trains."""
_MOST_STEPS = 16_384
_TIMED = {"ppo-lif": 20_480, "ppo-mlp": 20_480, "dqsn": 2_000, "dqn-mlp": 4_000, "sac-lif": 600,
          "sac-mlp": 1_000, "recurrent-ppo-lsnn": 20_480, "recurrent-ppo-gru": 20_480}  # fmt: skip
"""Environment steps of the agents whose time is measured."""


# ---- digests -------------------------------------------------------------------------------------
def _digest(arrays: Iterable[Any]) -> str:
    found = hashlib.sha256()
    for array in arrays:
        found.update(array.tobytes())
    return found.hexdigest()[:16]


def parts() -> Iterator[tuple[str, str]]:
    """Yield names and digests of what a training is made of, from single operations upwards."""
    import numpy as np
    import torch

    rng = np.random.default_rng(0)
    drawn = [rng.normal(size=size).astype(np.float32) for size in ((256, 65), (65, 64), (64, 3))]
    rows, weights, few = map(torch.from_numpy, drawn)
    positive = torch.from_numpy(rng.uniform(0, 9, 100_000).astype(np.float32))
    yield (
        "product by torch",
        _digest([(rows @ weights).numpy(), (rows[:1] @ weights @ few).numpy()]),
    )
    yield "product by numpy", _digest([drawn[0] @ drawn[1], drawn[0][:1] @ drawn[1]])
    yield "sum", _digest([rows.sum(0).numpy(), rows.mean(1).numpy(), rows.logsumexp(1).numpy()])
    for name in ("exp", "tanh", "log", "sigmoid", "sqrt"):
        yield name, _digest([getattr(torch, name)(positive).numpy()])
    yield "orthogonal start", _digest([torch.linalg.qr(weights).R.numpy()])
    for name, optimiser in (("Adam", torch.optim.Adam), ("RMSprop", torch.optim.RMSprop)):
        yield f"optimiser {name}", _digest([_optimised(optimiser, weights, rows).numpy()])
    for env_id in ("CartPole-v1", "Pendulum-v1", "snn/CueAccumulation-v0"):
        yield f"environment {env_id}", _digest(_observed(env_id))


def _optimised(optimiser: Any, start: Any, rows: Any) -> Any:
    weights = start.clone().requires_grad_()
    steps = optimiser([weights], lr=0.01)
    for _ in range(20):
        steps.zero_grad()
        (rows @ weights).tanh().square().mean().backward()
        steps.step()
    return weights.detach()


def _observed(env_id: str) -> Iterator[Any]:
    import gymnasium as gym
    import numpy as np

    env = gym.make(env_id)
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(200):
        seen, reward, ended, cut, _ = env.step(env.action_space.sample())
        yield np.asarray(seen)
        yield np.asarray(reward, np.float64)
        if ended or cut:
            env.reset()


def _task_of(agent: str) -> str:
    from snn_gym.zoo import load_agent_spec

    known = load_agent_spec(agent).environments
    return "CartPole-v1" if "CartPole-v1" in known else next(iter(known))


def short_training(agent: str) -> Any:
    """Return an agent with seed 0 that learned for a moment."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: Any = snn_gym.make_agent(agent, _task_of(agent), seed=0)
        # Two rollouts: where step sizes fall to 0, the updates of the last one change nothing.
        steps = 2 * getattr(model, "n_steps", 256) * model.n_envs
        if hasattr(model, "replay_buffer"):
            model.learning_starts, steps = min(model.learning_starts, 200), 300
        return model.learn(min(steps, _MOST_STEPS))


def weights_digest(model: Any) -> str:
    """Return the digest of all weights of an agent."""
    from safetensors.numpy import load_file

    with tempfile.TemporaryDirectory() as folder:
        snn_gym.save_agent(model, folder)
        files = [load_file(file) for file in sorted(Path(folder).glob("*.safetensors"))]
    return _digest(tensors[name] for tensors in files for name in sorted(tensors))


def trained(agent: str) -> str:
    """Train an agent for a moment with seed 0, and return the digest of all its weights."""
    return weights_digest(short_training(agent))


# ---- comparison ----------------------------------------------------------------------------------
def first_difference() -> str | None:
    """Return the name of the first part whose digest is not the committed one, or None."""
    known = json.loads(FILE.read_text(encoding="utf-8"))["parts"]
    return next((name for name, digest in parts() if digest != known[name]), None)


def other_versions() -> dict[str, tuple[str, str]]:
    """Return packages whose versions decide the bits and are not those of the file: both."""
    from snn_gym.zoo.files import package_versions

    known, here = json.loads(FILE.read_text(encoding="utf-8"))["versions"], package_versions()
    return {name: (x, here[name]) for name, x in known.items() if here[name] != x}


def _write() -> None:
    from snn_gym.zoo.files import package_versions
    from snn_gym.zoo.recipe import processor

    versions = {x: y for x, y in package_versions().items() if x not in ("snn_gym", "python")}
    content = {
        "versions": versions,
        "processors": [processor()["numba"]],
        "parts": dict(parts()),
        "agents": {agent: trained(agent) for agent in snn_gym.agent_ids()},
    }
    FILE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


# ---- time ----------------------------------------------------------------------------------------
def _seconds(agent: str) -> float:
    """Return the processor time of a training in this process, without what is done once."""
    import torch

    torch.set_num_threads(1)
    model: Any = snn_gym.make_agent(agent, _task_of(agent), seed=0)
    if hasattr(model, "replay_buffer"):
        model.learning_starts = 200
    model.learn(256)
    begun = time.process_time()
    model.learn(_TIMED[agent])
    return time.process_time() - begun


def _print_times(rounds: int = 3) -> None:
    """Train in pairs of processes, one of each numerics, and print the ratios of their times."""
    for agent in _TIMED:
        ratios = []
        for _ in range(rounds):
            spent = []
            for kind in ("portable", "native"):
                with variables_of(kind):
                    command = [sys.executable, "-m", "tools.bits", "--seconds", agent]
                    done = subprocess.run(command, env={**os.environ, "PYTHONWARNINGS": "ignore"},
                                          capture_output=True, text=True, check=True)  # fmt: skip
                spent.append(float(done.stdout))
            ratios.append(spent[0] / spent[1])
        print(
            f"{agent:<22}{statistics.median(ratios):6.2f}   {min(ratios):.2f} to {max(ratios):.2f}"
        )


def _compare(agents: list[str]) -> int:
    known = json.loads(FILE.read_text(encoding="utf-8"))["agents"]
    chosen = agents or list(known)
    equal = [agent for agent in chosen if trained(agent) == known[agent]]
    print(f"{len(equal)} of {len(chosen)} agents have the committed weights")
    for agent in chosen:
        if agent not in equal:
            print("other weights:", agent)
    part = first_difference()
    if part is not None:
        print("the first part that differs:", part)
    for name, (there, here) in other_versions().items():
        print(f"{name} was {there} and is {here}")
    return int(len(equal) < len(chosen) or part is not None)


def main() -> int:
    """Compare, write or measure; return 1 if a digest differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write tools/bits.json anew")
    parser.add_argument("--time", action="store_true", help="measure time")
    parser.add_argument("--seconds", metavar="AGENT", help=argparse.SUPPRESS)
    parser.add_argument("agents", nargs="*", help="agents to compare; all if none is named")
    options = parser.parse_args()
    if options.seconds is not None:
        print(_seconds(options.seconds))
        return 0
    if options.time:
        _print_times()
        return 0
    snn_gym.portable()
    with one_thread():
        if options.write:
            _write()
            return 0
        return _compare(options.agents)


if __name__ == "__main__":
    sys.exit(main())
