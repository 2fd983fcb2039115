import subprocess
import sys

import pytest

import snn_gym


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )


HEAVY = "torch norse stable_baselines3 numba matplotlib scipy pygame safetensors"


@pytest.mark.parametrize(
    "code",
    [
        "import snn_gym",
        "import snn_gym, gymnasium\n"
        "env = gymnasium.make('snn/CartPole-v1'); env.reset(seed=0); env.step(0); env.close()",
        "import gymnasium; gymnasium.make('snn_gym:snn/CartPole-v1').reset(seed=0)",
    ],
    ids=["import", "environment", "plugin id"],
)
def test_import_and_environments_load_nothing_heavy_and_print_nothing(code):
    check = f"\nimport sys; assert not set('{HEAVY}'.split()) & set(sys.modules)"
    done = run_python(code + check)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_second_registration_has_no_effect():
    code = (
        "import snn_gym, importlib, gymnasium\n"
        "before = dict(gymnasium.registry)\n"
        "importlib.reload(snn_gym)\n"
        "assert dict(gymnasium.registry) == before"
    )
    done = run_python(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_package_has_typed_marker_and_version():
    assert snn_gym.__version__.count(".") == 2


def test_unknown_attribute_is_named():
    with pytest.raises(AttributeError, match="module 'snn_gym' has no attribute 'make_agnet'"):
        _ = snn_gym.make_agnet


def test_every_public_name_is_listed_and_loads():
    assert set(snn_gym.__all__) <= set(dir(snn_gym))
    for name in snn_gym.__all__:
        assert getattr(snn_gym, name) is not None


@pytest.mark.check
def test_a_first_decision_loads_neither_norse_nor_plots_nor_pytorchs_compiler():
    code = (
        "import sys, torch, stable_baselines3, numpy, snn_gym\n"
        "before = set(sys.modules)\n"
        "agent = snn_gym.make_agent('ppo-lif', 'CartPole-v1')\n"
        "agent.predict(numpy.zeros(4, numpy.float32), deterministic=True)\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = run_python(code)
    assert (done.returncode, done.stderr) == (0, "")
    loaded = done.stdout.split()
    assert "snn_gym.spiking.execution" in loaded
    slow = {"norse", "matplotlib", "torch._dynamo", "torchvision", "sb3_contrib"}
    assert not slow & set(loaded)
