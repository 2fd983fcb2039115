"""Columns of the results table: what an agent's network takes of a chip."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from snn_gym.zoo import agent_ids, load_agent_spec

if TYPE_CHECKING:  # which needs PyTorch
    from snn_gym.scoring.chips import Demand

ROOM_COLUMNS: dict[str, str] = {
    "Neurons": "neurons of the network that acts, of all layers; as the next three, of the "
    'registered architecture if it spikes and can be exported, else "–"',
    "Synapses": "weights between inputs, neurons and outputs, recurrent ones included; analogue "
    "inputs are currents, whose weights count",
    "Memory at 8 bits": "bytes of the weights at 8 bits, and of biases and state variables at 16",
    "Fits": "whose room is enough by published limits: a core of Loihi, a core of SpiNNaker2, the "
    "chip Xylo Audio 2, Speck with a core for each layer ([limits and what is missing]"
    "(../docs/hardware.md)). Neuron models are not compared, and nothing ran on a chip",
}
"""Columns of `room_cells`, and what they mean."""


@lru_cache(maxsize=1024)
def registered_demand(agent: str, env_id: str) -> Demand | None:
    """Return the room that an agent's registered network takes on an environment.

    Args:
        agent: Name of an agent.
        env_id: Gymnasium id that is known.

    Returns:
        None for an agent that has left the zoo or is not registered for the environment, and for a
        network that does not spike or can't be exported.

    Raises:
        gymnasium.error.Error: The environment needs a package that is absent.
    """
    from snn_gym.scoring.chips import demand_of
    from snn_gym.zoo import build_policy

    if agent not in agent_ids() or env_id not in load_agent_spec(agent).environments:
        return None
    policy = build_policy(agent, env_id)
    try:
        program = policy.program()
    except ValueError:  # what can't be exported, which docs/graphs.md and the exporters say
        return None
    return demand_of(program) if program.spiking else None


def room_cells(demand: Demand | None) -> dict[str, str]:
    """Return the texts under `ROOM_COLUMNS`.

    Args:
        demand: What a network takes; None where that is not known.
    """
    if demand is None:
        return dict.fromkeys(ROOM_COLUMNS, "–")

    from snn_gym.scoring.chips import CHIPS, misfits

    fitting = [name for name, chip in CHIPS.items() if not misfits(demand, chip)]
    counts = (demand.neurons, demand.synapses, demand.memory_bytes)
    texts = (*(f"{count:,}" for count in counts), ", ".join(fitting) or "none")
    return dict(zip(ROOM_COLUMNS, texts, strict=True))
