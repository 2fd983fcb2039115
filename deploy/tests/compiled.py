"""C files as functions."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest

from snn_gym.program import LeakyLayer

COMPILER = shutil.which("cc")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler, cc, is installed")
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Werror")
SANITIZERS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover")


class Compiled:
    """An agent's C files, compiled, loaded and called."""

    def __init__(self, files, agent, fixed=False):
        library = files.source.with_suffix(".so")
        words = (str(COMPILER), *WARNINGS, "-O2", "-shared", "-fPIC", "-o", str(library))
        subprocess.run([*words, str(files.source), "-lm"], check=True)
        self._agent, self._library = agent, ctypes.CDLL(str(library))
        number = ctypes.c_int16 if fixed else ctypes.c_float
        fields = []
        layers = agent.neurons
        for k, layer in enumerate(layers, start=1):
            fields.append((f"neurons_{k}", number * layer.rest.size))
            fields.append((f"spikes_{k}", ctypes.c_ubyte * layer.size))
        for k, units in enumerate(agent.remembering, start=1):
            of_units = ctypes.c_int32 if fixed and isinstance(units, LeakyLayer) else number
            fields.append((f"units_{k}", of_units * (len(units.state) * units.size)))
        if not (agent.spiking or agent.stateful):
            fields.append(("unused", ctypes.c_char))
        if agent.spiking and agent.stateful and agent.readout.variables:
            rows = agent.readout.variables
            fields.append(("readout", number * (rows * agent.layers[-1].size)))
        self.state = type("State", (ctypes.Structure,), {"_fields_": fields})()
        self.reset()

    def reset(self):
        self._library.agent_reset(ctypes.byref(self.state))

    def step(self, observation):
        given = np.ascontiguousarray(observation, np.float32).reshape(-1)
        pointer = given.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        discrete = self._agent.choice.discrete
        action = ctypes.c_int() if discrete else (ctypes.c_float * self._agent.outputs)()
        self._library.agent_step(ctypes.byref(self.state), pointer, ctypes.byref(action))
        return action.value if isinstance(action, ctypes.c_int) else np.array(action[:])

    def neurons(self):
        """Return the state of all neurons in our order: each layer's variables, then its spikes."""
        parts = []
        for k, layer in enumerate(self._agent.neurons, start=1):
            parts.append(np.array(getattr(self.state, f"neurons_{k}")[:], np.float32))
            if layer.recurrent is not None:
                parts.append(np.array(getattr(self.state, f"spikes_{k}")[:], np.float32))
        return np.concatenate(parts)
