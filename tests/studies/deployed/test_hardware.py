"""What the page of chips says follows from its numbers."""

from __future__ import annotations

from snn_gym.export.hardware import Activity
from snn_gym.scoring.chips import Demand
from studies.deployed.hardware import Found, Measured, report


def test_a_line_says_what_fits_and_where_an_agent_stands() -> None:
    demand = Demand(4, 2, 128, 3, 64, 64, 64, 4480, 5000)
    did = Activity(9, 4.5, 0.035, 0.1)
    one = Measured("a", "E-v0", "stored", 3, 8, demand, did, (0.5, 9.0), None)
    bare = Measured("a", "E-v0", "stored, without silent", 3, 8, demand, did, (0.5, 9.0), None)
    page = report(Found((one, bare)))
    room = "| a | E-v0 | {} | 3 | 128 | 4,480 | 64 | 64 | 5,000 | fits | fits | fan in 64 of 63 |"
    assert room.format("stored") in page
    assert room.format("stored, without silent") in page
    spent = "| 4.50 | 9 | 3.5% | 8 | 0.100 | 0.50 to 9.0 | – | inside | inside |"
    assert page.count(spent) == 1
