"""Zip files of Stable-Baselines3, in the folders that RL Baselines3 Zoo's tools look into."""

from __future__ import annotations

import os
from pathlib import Path

from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym._base.storage import write_text_atomic
from snn_gym.zoo.algorithms import ALGORITHMS, algorithm_name
from snn_gym.zoo.build import identify

# Those that RL Zoo loads and that our policies serve.
ALGOS = ("a2c", "ddpg", "dqn", "ppo", "qrdqn", "sac", "td3", "tqc", "trpo")


def to_zip(model: BaseAlgorithm, folder: str | os.PathLike[str]) -> Path:
    """Write a model as RL Zoo's own training would, for ``python -m rl_zoo3.enjoy -f FOLDER``.

    ``FOLDER/ALGO/ENV_1/ENV.zip`` is what ``model.save`` writes, and ``PPO.load`` reads where
    snn_gym is installed. Beside it are the arguments of the environment, and the statistics of a
    VecNormalize. Loading a zip runs code that it holds, as `PPO.load` always does: to share an
    agent with strangers use ``save_agent`` or ``push``.

    Args:
        model: Model of an algorithm that RL Zoo has, of the zoo or by hand, in an environment.
        folder: Folder of the logs, which RL Zoo's tools take as ``-f``.

    Returns:
        The zip file.

    Raises:
        ValueError: RL Zoo does not know the algorithm, or the environment is not known.
        ImportError: PyYAML is not installed, which RL Zoo brings.
    """
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise ImportError(
            "settings of RL Zoo need PyYAML, which is not installed: pip install rl_zoo3"
        ) from error
    name = algorithm_name(model)
    algo = (ALGORITHMS[name].stock or name).lower()
    if algo not in ALGOS:
        raise ValueError(
            f"RL Zoo has no {name}; expected one of {', '.join(ALGOS)}; use export --c, --nir or "
            "--onnx"
        )
    identity = identify(model)
    env = identity.environment.replace("/", "-")
    run = Path(folder, algo, f"{env}_1")
    (run / env).mkdir(parents=True, exist_ok=True)
    model.save(run / f"{env}.zip")
    normalise = model.get_vec_normalize_env()
    if normalise is not None:
        normalise.save(str(run / env / "vecnormalize.pkl"))
    files = {
        "config.yml": {"normalize": normalise is not None, "policy": type(model.policy).__name__},
        "args.yml": {
            "algo": algo,
            "env": identity.environment,
            "env_kwargs": identity.environment_kwargs or None,
            "seed": model.seed,
        },
    }
    for file, content in files.items():
        write_text_atomic(run / env / file, yaml.safe_dump(content))
    return run / f"{env}.zip"
