"""Networks of other frameworks, trained by the scripts under docs/, do the same here."""

import sys
from pathlib import Path

import pytest
import torch

from snn_gym_deploy import network_from_nir

SCRIPTS = Path(__file__).resolve().parents[2] / "docs" / "imported"


@pytest.mark.parametrize("framework", ["snntorch", "spikingjelly"])
def test_a_network_decides_alike_here(framework, tmp_path, monkeypatch):
    pytest.importorskip(framework)
    monkeypatch.syspath_prepend(str(SCRIPTS))
    cloning = __import__("cloning")
    script = __import__(f"train_{framework}")
    kept = []

    def clone(module, decide, seed):
        cloning.clone(module, decide, seed)
        seen = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
        kept.extend([seen, decide(seen).detach()])

    for name, value in {"ROUNDS": 1, "STEPS_PER_ROUND": 60, "EPOCHS": 2}.items():
        monkeypatch.setattr(cloning, name, value)
    monkeypatch.setattr(script, "clone", clone)
    script.main(0, tmp_path / "pole.nir")
    seen, theirs = kept
    # The standardisation is in the weights: observations are seen times the scale.
    with torch.no_grad():
        ours = network_from_nir(tmp_path / "pole.nir")(seen * torch.tensor(cloning.SCALE))[0]
    # A spike may flip where its margin is within rounding.
    alike = (ours - theirs).abs().amax(1) < 1e-5
    assert alike.float().mean() >= 0.99
    assert theirs.std() > 0.001
    for name in ("cloning", f"train_{framework}"):
        sys.modules.pop(name, None)
