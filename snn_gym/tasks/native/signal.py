"""Settings of tasks whose neurons show a signal by firing faster than the background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snn_gym.tasks.native.batch import SpikeTaskSettings
from snn_gym.tasks.streams import byte_rate


@dataclass(frozen=True, kw_only=True)
class SignalTaskSettings(SpikeTaskSettings):
    """Neurons fire at a high rate while they show a signal, and at a low one otherwise.

    A subclass has the rate of its signal as a field.
    """

    signal_rate: ClassVar[str]
    """Name of the field that holds the rate of a signal (Hz)."""
    background_rate_hz: float = 10.0
    """Rate of all neurons otherwise (Hz)."""

    def _check(self) -> None:
        signal_rate_hz = getattr(self, self.signal_rate)
        if not self.background_rate_hz < signal_rate_hz:
            raise ValueError(
                f"{self.signal_rate} must be above background_rate_hz, got {signal_rate_hz} and "
                f"{self.background_rate_hz}"
            )
        self.rate_bytes()

    def rate_bytes(self) -> tuple[int, int]:
        """Return the bytes below which a neuron fires in the background and in a signal."""
        low, high = self.background_rate_hz, getattr(self, self.signal_rate)
        return byte_rate(low / 1000.0), byte_rate(high / 1000.0)
