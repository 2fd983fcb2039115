"""Host of a NIR graph, as the JSON file beside the graph describes it."""

import numpy as np


def seen_by_the_graph(observation, host):
    """Return the graph's inputs at every time step."""
    given, scale = host["observation"], host["observation"]["standardised"]
    if given["form"] == "spikes":
        return list(observation)
    values = observation.reshape(-1).astype(np.float32)
    if scale is not None:
        mean, std = (np.array(scale[x], np.float32) for x in ("mean", "std"))
        values = np.clip((values - mean) / std, -scale["clip"], scale["clip"])
    return [values] * int(host["time_steps"])


def choose(outputs, action):
    """Return the action for outputs (O,), means over time steps, by the host's ``action``."""
    if action["choice"] == "argmax":
        return int(np.argmax(outputs))
    low, high = (np.array(action[x], np.float32) for x in ("low", "high"))
    if action["choice"] == "squash":
        return low + 0.5 * (np.tanh(outputs) + 1.0) * (high - low)
    return np.clip(outputs, low, high)
