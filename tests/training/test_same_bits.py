"""Short trainings give the weights that are committed, on every processor with AVX2."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import snn_gym
from snn_gym._base.numerics import numerics, why_not_portable
from tools import bits

ROOT = Path(__file__).parents[2]
KNOWN = json.loads(bits.FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module", autouse=True)
def same_conditions() -> None:
    if numerics() != "portable":
        pytest.skip(f"numerics are not portable here: {why_not_portable()}")
    others = bits.other_versions()
    if others:
        pytest.skip(f"digests are of other packages, there and here: {others}")


@pytest.fixture(scope="module", params=bits.WATCHED)
def trained(request: pytest.FixtureRequest, same_conditions: None) -> tuple[str, Any]:
    """Return an agent's name, and the agent after its short training."""
    return request.param, bits.short_training(request.param)


def test_training_gives_the_committed_weights(trained: tuple[str, Any]) -> None:
    agent, model = trained
    assert bits.weights_digest(model) == KNOWN["agents"][agent], (
        f"the first part that differs: {bits.first_difference()}; python -m tools.bits says more"
    )


def test_the_training_moves_weights_of_every_layer(trained: tuple[str, Any]) -> None:
    agent, model = trained
    first = snn_gym.make_agent(agent, model.get_env().get_attr("spec")[0].id, seed=0).policy
    moved = {
        name: not torch.equal(x, after)
        for (name, x), after in zip(
            first.named_parameters(), model.policy.parameters(), strict=True
        )
    }
    assert all(moved.values()), moved


def test_parts_have_the_committed_digests() -> None:
    assert dict(bits.parts()) == KNOWN["parts"]


def test_a_product_that_adds_in_another_order_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    product = torch.Tensor.__matmul__

    def in_halves(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
        half = len(two) // 2
        return product(one[:, :half], two[:half]) + product(one[:, half:], two[half:])

    monkeypatch.setattr(torch.Tensor, "__matmul__", in_halves)
    assert bits.first_difference() == "product by torch"


def test_roots_are_rounded_to_the_nearest_number() -> None:
    drawn = np.random.default_rng(1).uniform(0, 100, 100_000).astype(np.float32)
    assert np.array_equal(torch.from_numpy(drawn).sqrt().numpy(), np.sqrt(drawn))


def test_every_agent_has_a_digest() -> None:
    assert set(KNOWN["agents"]) == set(snn_gym.agent_ids())


@pytest.mark.slow  # every agent is trained, on an Intel processor by the code for AMD, too
@pytest.mark.parametrize("maker", ["its own", "AMD"])
def test_all_agents_have_the_committed_weights(maker: str, tmp_path: Path) -> None:
    environment = {}
    if maker == "AMD":
        if "GenuineIntel" not in Path("/proc/cpuinfo").read_text(encoding="ascii"):
            pytest.skip("only Intel processors let a process answer CPUID itself")
        if shutil.which("gcc") is None:
            pytest.skip("gcc is not installed")
        library = tmp_path / "amd_cpuid.so"
        source = ROOT / "tools" / "amd_cpuid.c"
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
        environment = {"LD_PRELOAD": str(library)}
    command = ["env", *(f"{x}={y}" for x, y in environment.items()), sys.executable, "-m"]
    done = subprocess.run(
        [*command, "tools.bits"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
