"""Atari games as the literature plays them: importing registers ``Atari/GAME-v5`` for each game.

Needs the extra ``atari``. Importing it also registers the games of ``ale_py`` themselves, such as
``ALE/Pong-v5``, whose argument ``obs_type="ram"`` shows the 128 bytes of memory.
"""

from __future__ import annotations

from typing import Any

import ale_py
import gymnasium as gym
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

_NAMESPACE, _ALE = "Atari/", "ALE/"


def make_game(
    game: str,
    *,
    screen_size: int = 84,
    stack: int = 4,
    frame_skip: int = 4,
    noop_max: int = 30,
    repeat_action_probability: float = 0.0,
    render_mode: str | None = None,
) -> gym.Env[Any, Any]:
    """Return a game that shows stacked grey images, Box (stack, size, size), uint8.

    Mnih et al. 2015, https://doi.org/10.1038/nature14236: maxima of the last two of skipped frames,
    up to ``noop_max`` idle frames at the start. Rewards are not clipped, and a lost life ends no
    episode, so that returns are those of the game.

    Args:
        game: Id of ``ale_py``, such as ``ALE/Pong-v5``.
        screen_size: Rows and columns of an image.
        stack: Images of an observation.
        frame_skip: Frames of an environment step.
        noop_max: Most idle frames at the start of an episode.
        repeat_action_probability: Probability that a frame repeats the action before ("sticky
            actions", Machado et al. 2018, https://arxiv.org/abs/1709.06009, who take 0.25).
        render_mode: As for the game of ``ale_py``.
    """
    env = gym.make(
        game,
        frameskip=1,
        repeat_action_probability=repeat_action_probability,
        render_mode=render_mode,
    )
    env = AtariPreprocessing(env, noop_max=noop_max, frame_skip=frame_skip, screen_size=screen_size)
    return FrameStackObservation(env, stack)


gym.register_envs(ale_py)
for _name in [x for x in gym.registry if x.startswith(_ALE)]:
    gym.register(
        _NAMESPACE + _name.removeprefix(_ALE),
        entry_point="snn_gym.envs.atari:make_game",
        kwargs={"game": _name},
    )
