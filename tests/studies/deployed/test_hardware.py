"""What the page of chips says follows from its numbers."""

from dataclasses import replace

from snn_gym_deploy.chips import Demand
from snn_gym_deploy.hardware import Activity
from studies.deployed.hardware import Measured, Results, report


def test_a_line_names_the_fitting_chips_and_the_agents_rank():
    demand = Demand(4, 2, 128, 3, 64, 64, 64, 4480, 5000)
    did = Activity(9, 4.5, 0.035, 0.1)
    one = Measured("a", "E-v0", "stored", 3, 8, demand, did, (0.5, 9.0), None)
    left = replace(demand, neurons=10)
    bare = Measured("a", "E-v0", "stored, without silent", 3, 8, left, did, (0.5, 9.0), (1.0, 2.0))
    page = report(Results((one, bare)))
    room = "| a | E-v0 | {} | 3 | 128 | 4,480 | 64 | 64 | 5,000 | fits | fits | fan in 64 of 63 |"
    assert room.format("stored") in page
    assert room.format("stored, without silent").replace("| 128 |", "| 10 |") in page
    # 1,024 updates at 52 to 81 pJ are 53.2 to 82.9 nJ, 80 of them 4.16 to 6.48.
    spent = "| 4.50 | 9 | 3.5% | 8 | 0.100 | {} | inside | inside |"
    assert page.count(spent.format("53.75 to 91.9 | –")) == 1
    assert page.count(spent.format("4.66 to 15.5 | 1.00 to 2.0")) == 1
