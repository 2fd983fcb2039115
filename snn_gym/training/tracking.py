"""What a training run logs for TensorBoard and, if it is wanted and installed, Weights & Biases."""

from __future__ import annotations

import hashlib
import importlib
import json
from numbers import Real
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stable_baselines3.common.logger import KVWriter, Logger, configure

from snn_gym.training.settings import RunSettings

TENSORBOARD_FOLDER = "tb"
_PROJECT = "snn-gym"


def check_tracker() -> Any:
    """Return the module ``wandb``.

    Raises:
        ImportError: It is not installed.
    """
    try:
        return importlib.import_module("wandb")
    except ModuleNotFoundError as error:
        raise ImportError(
            "--track logs to Weights & Biases, which is not installed: pip install wandb, or leave "
            "out --track; TensorBoard's logs are in the run's folder anyway"
        ) from error


class _Writer(KVWriter):
    """Give what Stable-Baselines3 logs to a run of Weights & Biases."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def write(
        self,
        key_values: dict[str, Any],
        key_excluded: dict[str, tuple[str, ...]],
        step: int = 0,
    ) -> None:
        """Log numbers.

        Args:
            key_values: Values by name.
            key_excluded: Loggers that a value is not for, by its name; what is not for TensorBoard
                is not for this one.
            step: Environment steps.
        """
        shown = {
            name: float(value)
            for name, value in key_values.items()
            if isinstance(value, Real) and "tensorboard" not in key_excluded.get(name, ())
        }
        self._run.log(shown, step=step)

    def close(self) -> None:
        """Do nothing: ``TrackedRun`` ends the run."""


class TrackedRun:
    """Loggers of a training run, open within a ``with``.

    Args:
        out: Folder of the run.
        settings: Its settings, which Weights & Biases shows; a run that is resumed goes on there.
        tensorboard: Whether to log for TensorBoard.
        track: Whether to log for Weights & Biases.

    Raises:
        ValueError: Weights & Biases refuses.
    """

    def __init__(self, out: Path, settings: RunSettings, *, tensorboard: bool, track: bool) -> None:
        self.logger: Logger | None = None
        """None for the model's own."""
        self._run: Any = None
        self._out = out
        self._settings = settings
        self._formats = ["tensorboard"] if tensorboard else []
        self._track = track

    def __enter__(self) -> Self:
        if self._formats or self._track:
            self.logger = configure(str(self._out / TENSORBOARD_FOLDER), self._formats)
        if self._track:
            self._run = _begin(self._out, self._settings)
            assert self.logger is not None
            self.logger.output_formats.append(_Writer(self._run))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._run is not None:
            self._run.finish(exit_code=0 if kind is None else 1)


def _begin(out: Path, settings: RunSettings) -> Any:
    wandb = check_tracker()
    config = settings.recorded()
    # The same one whenever the run in this folder goes on, and no other's.
    identity = json.dumps([str(out.resolve()), config], sort_keys=True)
    try:
        return wandb.init(
            project=_PROJECT,
            name=f"{settings.agent} {settings.environment} seed {settings.seed}",
            id=hashlib.sha256(identity.encode()).hexdigest()[:16],
            resume="allow",
            config=config,
            dir=str(out),
        )
    except wandb.Error as error:
        raise ValueError(
            f"Weights & Biases says: {error}; run `wandb login` first, set WANDB_MODE=offline, or "
            "leave out --track"
        ) from error
