"""Tests of the study of agents as gates: circuits in episodes, chip, page."""

import shutil

import numpy as np
import pytest

from snn_gym.program import LeakyLayer, compact, count_costs, decide
from snn_gym.program.prices import PRICES
from studies.files import write_run
from studies.gates.__main__ import Built, Part, report
from studies.gates.chip import Loihi
from studies.gates.episodes import play
from tests.export.made import one_neuron

PART = Part(luts=120, memories=2, multipliers=1, clock_mhz=50.0)


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="not installed: iverilog")
@pytest.mark.parametrize("shape", ["serial", "parallel"])
def test_a_circuit_plays_an_episode(shape):
    played = play("CartPole-v1", "ppo-linear", shape, range(1))
    assert (played.mean, played.decisions, played.equal) == (500.0, 500, 500)


def test_one_neuron_decides_on_the_chip_at_its_price():
    pytest.importorskip("sanafe", reason="not installed: extra chips")
    program = compact(one_neuron())
    chip, observations = Loihi(program), np.linspace(-6.0, 6.0, 20, dtype=np.float32)[:, np.newaxis]
    made = [chip.decide(x) for x in observations]
    assert [x.action for x in made] == decide(program, observations).actions.tolist()
    # Four updates of one neuron; spikes leave it for no synapse.
    assert min(x.energy_nj for x in made) == pytest.approx(4 * (51.2 + 21.6) / 1e3, rel=0.01)
    assert PRICES["loihi"].of(count_costs(program, observations)) > 4 * (51.2 + 21.6)


def test_other_neurons_are_refused():
    pytest.importorskip("sanafe", reason="not installed: extra chips")
    units = LeakyLayer(
        np.ones((1, 1), np.float32), np.zeros(1, np.float32), np.zeros(1, np.float32)
    )
    program = one_neuron(layers=(units,), decoder=None, time_steps=1, stateful=True)
    with pytest.raises(ValueError, match="only feed-forward layers of lif_box"):
        Loihi(program)


def test_the_page_has_both_forms_and_says_what_does_not_fit(tmp_path):
    for shape, part in (("serial", PART), ("parallel", Part(0, 0, 0, 0.0))):
        built = Built(
            "CartPole-v1", "ppo-linear", shape, (), 2000, 25, 900, part, part, "yosys 1.0"
        )
        write_run(tmp_path / f"{shape}.json", built)
    report(tmp_path, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "4,000 of 4,000 observations" in page
    assert "| `ppo-linear` | 500.0 | none | 2,000,000 | – | – |" in page
    assert "| `ppo-linear` | 25 | 900 | 120; 2; 1; 50 MHz | 120; 2; 1; 50 MHz |" in page
    assert "| `ppo-linear` | 25 | 900 | too large | too large |" in page
