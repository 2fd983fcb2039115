"""Every step of our games equals the package's, with the same random numbers."""

import numpy as np
import pytest

from references.minatar import scripted
from snn_gym.envs.minatar.asterix import Asterix
from snn_gym.envs.minatar.breakout import Breakout
from snn_gym.envs.minatar.freeway import Freeway
from snn_gym.envs.minatar.seaquest import Seaquest
from snn_gym.envs.minatar.space_invaders import SpaceInvaders

minatar = pytest.importorskip("minatar", reason="the extra minatar is not installed")

GAMES = {
    "asterix": Asterix, "breakout": Breakout, "freeway": Freeway, "seaquest": Seaquest,
    "space_invaders": SpaceInvaders,
}  # fmt: skip
STEPS = 3_000


class Numbers:
    """Stands in for the package's RandomState: gives numbers in [0, 1) that were drawn before."""

    left = ()

    def rand(self, size=None):
        if size is not None:
            return np.array([self.rand() for _ in range(size)])
        number, *self.left = self.left
        return number

    def randint(self, low, high=None, size=None):
        low, high = (0, low) if high is None else (low, high)
        if size is not None:
            return np.array([self.randint(low, high) for _ in range(size)])
        return low + int(self.rand() * (high - low))


class Pair:
    """Our game, a batch of one, beside the package's, with the same numbers."""

    def __init__(self, name, **settings):
        self.ours = GAMES[name](1, **settings)
        self.theirs = minatar.Environment(
            name,
            settings.get("sticky_action_probability", 0.1),
            settings.get("difficulty_ramping", True),
        )
        self.numbers = self.theirs.random = self.theirs.env.random = Numbers()
        self.ours.reset(seed=0)

    def start(self, rng):
        """Start an episode; return our observation and theirs."""
        uniform = rng.random((1, self.ours.start_size))
        planes = self.ours.started(uniform)
        self.numbers.left = uniform[0].tolist()
        self.theirs.reset()
        self.theirs.last_action = 0
        return planes, self.their_planes()

    def step(self, action, rng):
        """Make a step; return observation, reward and end, ours and theirs."""
        words = rng.integers(1 << 32, size=(1, self.ours.step_words), dtype=np.uint32)
        self.numbers.left = (words[0] / 2.0**32).tolist()
        reward, ended = self.ours.moved(np.array([action]), words)
        earned, over = self.theirs.act(self.ours.actions[action])
        ours = self.ours.observed(), float(reward[0]), bool(ended[0])
        return ours, (self.their_planes(), float(earned), bool(over))

    def their_planes(self):
        return self.theirs.state().transpose(2, 0, 1)[np.newaxis]

    def play(self, steps, rng, choose):
        """Return ours and theirs of every start and step; ``choose`` gives actions for planes."""
        seen, ended = [], True
        for _ in range(steps):
            if ended:
                planes, expected = self.start(rng)
                seen.append(((planes, 0.0, False), (expected, 0.0, False)))
            (planes, reward, ended), expected = self.step(choose(planes), rng)
            seen.append(((planes, reward, ended), expected))
        return seen


@pytest.mark.parametrize("wild", [1.0, 0.1], ids=["random", "scripted"])
@pytest.mark.parametrize("name", GAMES)
def test_every_step_equals_the_package(name, wild):
    rng = np.random.default_rng(7)
    pair = Pair(name)

    def choose(planes):
        if rng.random() < wild:
            return int(rng.integers(len(pair.ours.actions)))
        return int(scripted(pair.ours, planes)[0])

    for (planes, *ours), (expected, *theirs) in pair.play(STEPS, rng, choose):
        assert np.array_equal(planes, expected)
        assert ours == theirs


@pytest.mark.parametrize("name", GAMES)
def test_settings_equal_those_of_the_package(name):
    pair = Pair(name, sticky_action_probability=0.5, difficulty_ramping=False)
    seen = pair.play(
        1_000, np.random.default_rng(3), lambda planes: int(scripted(pair.ours, planes)[0])
    )
    for (planes, *ours), (expected, *theirs) in seen:
        assert np.array_equal(planes, expected)
        assert ours == theirs
