"""The library that tells a process on an Intel processor that it runs on an AMD one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "tools" / "amd_cpuid.c"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_llvm_takes_the_processor_for_a_zen_4(tmp_path):
    library = tmp_path / "amd_cpuid.so"
    flags = ["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", str(library), str(SOURCE)], check=True)
    code = "from llvmlite.binding import get_host_cpu_name; print(get_host_cpu_name())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=True,
    )
    if "can't trap CPUID" in done.stderr:
        pytest.skip("this processor or kernel can't trap CPUID")
    assert done.stdout == "znver4\n"
