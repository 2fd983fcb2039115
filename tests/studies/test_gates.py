"""The study of agents as gates: the page."""

from studies.gates.__main__ import Built, Part, pages
from studies.runs import Runs

PART = Part(luts=120, memories=2, multipliers=1, clock_mhz=50.0)


def test_the_page_has_both_forms_and_says_what_does_not_fit(tmp_path):
    table = Runs(tmp_path / "runs.jsonl")
    for shape, part in (("serial", PART), ("parallel", Part(0, 0, 0, 0.0))):
        name = "CartPole-v1", "ppo-linear", shape
        table.add(f"forms/{shape}", Built(*name, (), 2000, 25, 900, part, part, "yosys 1.0"))
    page = pages(table)["gates.md"]
    assert "4,000 of 4,000 observations" in page
    assert "| `ppo-linear` | 500.0 | none | 2,000,000 | – | – |" in page
    assert "| `ppo-linear` | 25 | 900 | 120; 2; 1; 50 MHz | 120; 2; 1; 50 MHz |" in page
    assert "| `ppo-linear` | 25 | 900 | too large | too large |" in page
