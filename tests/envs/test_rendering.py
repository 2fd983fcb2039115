import gymnasium as gym
import numpy as np

from snn_gym.envs.rendering import SHOWN_ENVIRONMENT_STEPS, SpikeRenderer, draw_raster
from tests.envs.variants import every_spiking_id
from tests.envs.windows import open_and_close
from tests.opengl import skip_where_it_cannot_be_drawn


@every_spiking_id
def test_base_picture_is_next_to_the_raster(env_id, monkeypatch):
    skip_where_it_cannot_be_drawn(env_id)
    env = gym.make(env_id, render_mode="rgb_array")
    env.reset(seed=0)
    env.action_space.seed(0)
    blank = env.render()
    env.step(env.action_space.sample())
    # Box2D's tasks draw sparks and beams that move from one drawing to the next.
    base = env.unwrapped.base.render()
    monkeypatch.setattr(env.unwrapped.base, "render", lambda: base)
    picture = env.render()
    height, width, _ = base.shape
    assert picture.dtype == np.uint8
    assert picture.shape[0] == height
    assert picture.shape[1] > width
    assert np.array_equal(picture[:, :width], base)
    assert not np.array_equal(picture[:, width:], blank[:, width:])
    env.close()


@every_spiking_id
def test_a_window_opens_and_closes(env_id):
    skip_where_it_cannot_be_drawn(env_id)
    open_and_close(gym.make(env_id, render_mode="human"))


def colours(image):
    return {tuple(colour) for colour in image.reshape(-1, 3).tolist()}


def test_raster_pixels_by_hand():
    # 2 channels x 2 time steps for each environment step, one pixel per time step and channel
    older = np.array([[1, 0], [0, 0]], np.int8)
    latest = np.array([[0, 0], [0, 1]], np.int8)
    image = draw_raster([older, latest], 1, 2, 2 * SHOWN_ENVIRONMENT_STEPS)
    assert image.shape == (2, 2 * SHOWN_ENVIRONMENT_STEPS, 3)
    # the first column of each environment step is its grid line; spikes show beside it
    spike_columns = image[:, 1::2]
    latest_spike = tuple(spike_columns[1, 1])
    rest = np.delete(spike_columns.reshape(-1, 3), SHOWN_ENVIRONMENT_STEPS + 1, axis=0)
    assert latest_spike not in colours(rest)
    wide = draw_raster([older, latest], 1, 20, 20 * SHOWN_ENVIRONMENT_STEPS)
    old_spike = tuple(wide[5, 5])
    assert old_spike not in {latest_spike, tuple(wide[5, 15]), tuple(wide[15, 5])}
    assert tuple(wide[15, 35]) == latest_spike
    assert tuple(wide[5, 35]) != latest_spike


def test_only_the_latest_steps_are_shown_and_a_reset_clears():
    frame = np.zeros((60, 80, 3), np.uint8)
    renderer = SpikeRenderer(channels_per_value=1)
    empty = renderer.draw(frame)
    renderer.add(np.ones((2, 3), np.int8))
    for _ in range(SHOWN_ENVIRONMENT_STEPS):
        renderer.add(np.zeros((2, 3), np.int8))
    silent = SpikeRenderer(channels_per_value=1)
    for _ in range(SHOWN_ENVIRONMENT_STEPS):
        silent.add(np.zeros((2, 3), np.int8))
    assert np.array_equal(renderer.draw(frame), silent.draw(frame))
    renderer.clear()
    assert np.array_equal(renderer.draw(frame), empty)
