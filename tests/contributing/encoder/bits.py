"""An encoder from outside: the binary digits of an intensity, one in each time step."""

from dataclasses import dataclass

import numpy as np

from snn_gym.spiking import SpikeEncoder, register_encoder


@dataclass(frozen=True)
class BitsEncoder(SpikeEncoder):
    """Time step t spikes where digit t of the intensity, in base 2, is 1."""

    def _spikes(self, inputs):
        steps = np.arange(1, inputs.time_steps + 1).reshape(-1, *[1] * inputs.intensity.ndim)
        return (np.floor(inputs.intensity * 2.0**steps) % 2).astype(np.float32)


register_encoder("bits", BitsEncoder)
