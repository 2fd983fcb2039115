"""Tests of a recording in a notebook: the raster by hand, its limits, and costs."""

import re

import torch

from snn_gym.program.costs import Costs
from snn_gym.spiking.recording import LayerRecording, Recording
from tests.parsed import Parsed


def recording(spikes, name="hidden_1"):
    layer = LayerRecording(name, spikes, None, fan_out=2)
    costs = Costs(spikes_per_decision={name: layer.spikes_per_decision()})
    return Recording((layer,), torch.zeros(spikes.shape[1], 2), 1.0, costs)


def drawn(shown):
    (drawing,) = re.findall("<svg.*?</svg>", shown._repr_html_())
    parsed = Parsed(drawing)
    (svg,), (borders, spikes) = parsed.attributes("svg"), parsed.attributes("path")
    return svg, borders["d"], spikes["d"]


def test_each_run_of_spikes_is_a_line_of_its_neuron():
    spikes = torch.zeros(3, 2, 2)  # three time steps, two decisions, two neurons
    spikes[0, 0, 0] = spikes[1, 0, 0] = 1  # neuron 0 at steps 0 and 1
    spikes[2, 0, 1] = spikes[0, 1, 1] = 1  # neuron 1 across the border, at steps 2 and 3
    spikes[2, 1, 1] = 1  # and in the last step, 5
    svg, borders, lines = drawn(recording(spikes))
    assert svg["viewbox"] == "0 0 6 2"
    assert borders == "M3 0v2"
    assert lines == "M0 0.5h2M2 1.5h2M5 1.5h1"
    assert "2.5 spikes a decision" in svg["aria-label"]


def test_the_spikes_drawn_are_those_recorded():
    spikes = (torch.rand(8, 20, 30, generator=torch.manual_seed(0)) < 0.4).float()
    _, _, lines = drawn(recording(spikes))
    seen = torch.zeros(160, 30)
    for start, neuron, length in re.findall(r"M(\d+) (\d+)\.5h(\d+)", lines):
        seen[int(start) : int(start) + int(length), int(neuron)] += 1
    assert torch.equal(seen, spikes.transpose(0, 1).flatten(0, 1))


def test_large_rasters_are_cut_and_say_so():
    svg, _, _ = drawn(recording(torch.ones(8, 1000, 500)))
    assert svg["viewbox"] == "0 0 240 125"
    assert "30 of 1,000 decisions" in svg["aria-label"]
    assert "125 of 500 neurons" in svg["aria-label"]
    worst = torch.arange(240)[:, None, None].expand(240, 1, 128) % 2
    assert len(recording(worst.float())._repr_html_()) < 200_000


def test_hostile_names_are_escaped_and_silence_is_no_error():
    shown = recording(torch.zeros(1, 1, 1), '"><script>x</script>')._repr_html_()
    assert "script" not in {tag for tag, _ in Parsed(shown).elements}
    assert '"><script>x</script>: 1 of 1 decisions' in "".join(Parsed(shown).said)


def test_a_network_without_spikes_has_costs_alone():
    costs = Costs(macs_per_decision={"hidden_1": 12.0})
    shown = Recording((), torch.zeros(1, 2), 1.0, costs)._repr_html_()
    assert "No layer spikes." in shown
    assert ["MACs", "12", "12"] in Parsed(shown).tables[0]
