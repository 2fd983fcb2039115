"""Encoders as C99: from a standardised observation to the spikes of each time step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.export.c_base import number
from snn_gym.program.encoders import (
    INTEGRATED,
    INTENSITY_RANGE,
    LatencyEncoder,
    PopulationEncoder,
    RateEncoder,
    ReceptiveFields,
    SpikeEncoder,
    encoder_name,
)

_REGULAR = "floorf((float)(t + 1) * activity[c]) > floorf((float)t * activity[c])"
_INTENSITY = (
    f"const float x = fminf(fmaxf(values[d] / {number(2.0 * INTENSITY_RANGE)} + 0.5f, 0.0f), 1.0f);"
)
_FIELD = "activity[{c}] = expf(-0.5f * away * away);"


def check_encoder(encoder: SpikeEncoder | ReceptiveFields) -> None:
    """Refuse an encoder that has no form without a host.

    Args:
        encoder: The encoder.

    Raises:
        ValueError: It draws random numbers, compares observations, or is a user's own.
    """
    known = (RateEncoder, PopulationEncoder, LatencyEncoder, ReceptiveFields)
    drawn = isinstance(encoder, SpikeEncoder) and encoder.needs_noise
    if drawn or type(encoder) not in known:
        raise ValueError(
            f"encoder {encoder_name(encoder)!r}{' of Poisson timing' if drawn else ''} is not "
            "exported; train with encoder 'constant', or with 'population', 'rate' or 'latency' of "
            "regular timing"
        )


def encoder_tables(encoder: SpikeEncoder | ReceptiveFields) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the constant arrays of an encoder by name.

    Args:
        encoder: The encoder.
    """
    if isinstance(encoder, ReceptiveFields):
        yield "centres", encoder.centres.reshape(-1)
        yield "widths", encoder.widths.reshape(-1)
    if isinstance(encoder, PopulationEncoder):
        yield "centres", encoder.centres


def encoded(
    encoder: SpikeEncoder | ReceptiveFields, inputs: int, channels: int, time_steps: int
) -> Iterator[str]:
    """Yield the lines that make the array ``activity`` of ``values``, once for a decision.

    Args:
        encoder: The encoder.
        inputs: Values D.
        channels: Channels C.
        time_steps: T.
    """
    fields = channels // inputs
    yield f"    float activity[{channels}];"
    if isinstance(encoder, ReceptiveFields):
        yield f"    float summed[{channels}];"
        yield "    memset(summed, 0, sizeof summed);"
        yield f"    for (int c = 0; c < {channels}; c++) {{"
        yield f"        const float away = (values[c / {fields}] - centres[c]) / widths[c];"
        yield f"        {_FIELD.format(c='c')}"
        yield "    }"
        return
    yield f"    for (int d = 0; d < {inputs}; d++) {{"
    yield f"        {_INTENSITY}"
    if isinstance(encoder, PopulationEncoder):
        yield f"        for (int i = 0; i < {fields}; i++) {{"
        yield f"            const float away = (x - centres[i]) * {number(encoder.steepness)};"
        yield f"            {_FIELD.format(c=f'd * {fields} + i')}"
        yield "        }"
    elif isinstance(encoder, LatencyEncoder):
        yield f"        activity[d] = floorf((1.0f - x) * {number(float(time_steps - 1))} + 0.5f);"
    else:
        yield "        activity[d] = x;"
    yield "    }"


def seen_at(encoder: SpikeEncoder | ReceptiveFields, channels: int) -> Iterator[str]:
    """Yield the lines that fill the array ``seen`` with the spikes of time step ``t``.

    Args:
        encoder: The encoder.
        channels: Channels C.
    """
    yield f"for (int c = 0; c < {channels}; c++) {{"
    if isinstance(encoder, ReceptiveFields):
        limit = number(float(np.float32(INTEGRATED)))
        yield "    summed[c] += activity[c];"
        yield f"    seen[c] = summed[c] > {limit};"
        yield f"    summed[c] -= {limit} * (float)seen[c];"
    elif isinstance(encoder, LatencyEncoder):
        yield "    seen[c] = activity[c] == (float)t;"
    else:
        yield f"    seen[c] = {_REGULAR};"
    yield "}"
