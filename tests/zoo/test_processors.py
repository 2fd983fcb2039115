"""Tests of processors in recipes: known and invented names."""

import numpy as np
import pytest

from snn_gym.zoo.recipe import processor, unknown_part

ZEN = {
    "machine": "x86_64",
    "torch": "AVX512",
    "numpy": "AVX512_ICL",
    "numba": "znver5",
    "openblas": "Haswell",
}
KNOWN = (
    ZEN,
    {**ZEN, "machine": "AMD64", "numpy": "X86_V4", "openblas": "Haswell_SkylakeX"},
    {**ZEN, "torch": "NO_AVX", "numba": "x86-64-v3", "mkl": "COMPATIBLE"},
    {**ZEN, "numpy": "AVX512_SPR", "numba": "emeraldrapids", "openblas": "SapphireRapids"},
    {"machine": "arm64", "torch": "DEFAULT", "numpy": "ASIMDDP", "numba": "apple-m1"},
    {
        "machine": "aarch64",
        "torch": "SVE256",
        "numpy": "SVE",
        "numba": "neoverse-v1",
        "openblas": "neoversev1",
    },
)
UNKNOWN = (
    ({}, "no machine"),
    ({"machine": "x86_64"}, "no torch"),
    ({**ZEN, "machine": "z80"}, "machine z80"),
    ({**ZEN, "torch": "AVX1024"}, "torch AVX1024 on x86_64"),
    ({**ZEN, "numpy": "ASIMD"}, "numpy ASIMD on x86_64"),
    ({**ZEN, "numba": "other"}, "numba other on x86_64"),
    ({**ZEN, "numba": "znver5\n"}, "numba znver5\n on x86_64"),
    ({**ZEN, "openblas": "haswell"}, "openblas haswell on x86_64"),
    ({**ZEN, "mkl": "FAST"}, "mkl FAST on x86_64"),
    ({**ZEN, "gpu": "H100"}, "gpu H100 on x86_64"),
)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known["numba"])
def test_names_of_libraries_are_known(known):
    assert unknown_part(known) is None


@pytest.mark.parametrize(("found", "part"), UNKNOWN, ids=[part for _, part in UNKNOWN])
def test_an_invented_processor_is_named(found, part):
    assert unknown_part(found) == part


def test_this_processor_is_known():
    assert unknown_part(processor()) is None


@pytest.mark.parametrize("found", [{}, ZEN])
def test_rows_older_than_processors_have_none(found):
    assert unknown_part(found, whole=False) is None


def test_extensions_of_the_installed_numpy_are_known():
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    used = {*extensions["baseline"], *extensions["found"], *extensions.get("not found", ())}
    for name in used:
        assert unknown_part({**processor(), "numpy": name}) is None, name
