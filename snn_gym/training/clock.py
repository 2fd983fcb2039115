"""How long a training took until a step, from the times in what it logged for TensorBoard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn_gym.training.tracking import TENSORBOARD_FOLDER

FloatArray = NDArray[np.float64]


def seconds_at(run: Path, steps: FloatArray) -> FloatArray | None:
    """Return the wall-clock time that a training had taken when it had done so many steps.

    The clock starts when the log is opened, and includes what else the process did: compilation,
    checkpoints, evaluations. Between two entries of the log time is interpolated, after the last
    one it goes on at the mean speed until there. Of a run that was resumed, what was trained twice
    counts once.

    Args:
        run: Folder that ``train`` wrote.
        steps: (n,) environment steps of the whole training, above 0.

    Returns:
        (n,) seconds, never falling; None where nothing was logged.
    """
    files = (run / TENSORBOARD_FOLDER).glob("events.out.tfevents.*")
    known = [(0.0, 0.0)]
    for begun_s, entries in sorted(filter(None, map(_read, files))):
        while len(known) > 1 and known[-1][0] >= entries[0][0]:
            known.pop()
        before_s = known[-1][1]
        known += [(step, before_s + logged_s - begun_s) for step, logged_s in entries]
    if len(known) == 1:
        return None
    known_steps, known_seconds = np.array(known).T
    known_seconds = np.maximum.accumulate(known_seconds)  # a machine's clock may be set back
    beyond = np.maximum(steps / known_steps[-1], 1.0)
    seconds: FloatArray = beyond * np.interp(steps, known_steps, known_seconds)
    return seconds


def _read(file: Path) -> tuple[float, list[tuple[float, float]]] | None:
    """Return when a log was opened, and steps above 0 with the times at which they were logged."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    # Up to what a killed process had written whole.
    events = list(EventFileLoader(str(file)).Load())
    entries = {float(x.step): x.wall_time for x in events if x.summary.value and x.step > 0}
    return (events[0].wall_time, sorted(entries.items())) if entries else None
