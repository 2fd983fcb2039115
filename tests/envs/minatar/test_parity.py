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
    "asterix": Asterix,
    "breakout": Breakout,
    "freeway": Freeway,
    "seaquest": Seaquest,
    "space_invaders": SpaceInvaders,
}
STEPS = 5_000


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
        uniform = rng.random((1, self.ours.start_size))
        planes = self.ours.started(uniform)
        self.numbers.left = uniform[0].tolist()
        self.theirs.reset()
        self.theirs.last_action = 0
        return self.checked(planes)

    def step(self, action, rng):
        words = rng.integers(1 << 32, size=(1, self.ours.step_words), dtype=np.uint32)
        self.numbers.left = (words[0] / 2.0**32).tolist()
        reward, ended = self.ours.moved(np.array([action]), words)
        expected = self.theirs.act(self.ours.actions[action])
        assert (float(reward[0]), bool(ended[0])) == tuple(map(float, expected[:1])) + expected[1:]
        return self.checked(self.ours.observed()), bool(ended[0])

    def checked(self, planes):
        assert np.array_equal(planes[0], self.theirs.state().transpose(2, 0, 1))
        return planes


@pytest.mark.parametrize("wild", [1.0, 0.1], ids=["random", "scripted"])
@pytest.mark.parametrize("name", GAMES)
def test_every_step_equals_the_package(name, wild):
    rng = np.random.default_rng(7)
    pair = Pair(name)
    planes, ended = pair.start(rng), False
    for _ in range(STEPS):
        if ended:
            planes = pair.start(rng)
        if rng.random() < wild:
            action = int(rng.integers(len(pair.ours.actions)))
        else:
            (action,) = scripted(pair.ours, planes)
        planes, ended = pair.step(action, rng)


@pytest.mark.parametrize("name", GAMES)
def test_settings_equal_those_of_the_package(name):
    rng = np.random.default_rng(3)
    pair = Pair(name, sticky_action_probability=0.5, difficulty_ramping=False)
    planes, ended = pair.start(rng), False
    for _ in range(1_000):
        if ended:
            planes = pair.start(rng)
        planes, ended = pair.step(scripted(pair.ours, planes)[0], rng)
