"""Instructions that a decision takes as C: on this machine, and on a Cortex-M4F.

``host`` counts by Valgrind's callgrind inside the function that decides. ``cortex-m4`` counts by
QEMU's machine ``mps2-an386``, whose virtual clock advances 32 ns with each instruction, and takes
off the instructions of the loop and the call. Both are deterministic, and neither measures time.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from snn_gym.policies import raw_policy
from snn_gym.program import Program
from snn_gym_deploy.c import CFiles, to_c
from snn_gym_deploy.c_base import table
from snn_gym_deploy.visits import Visits, first_episodes, visit

Target = Literal["host", "cortex-m4"]
TARGETS: tuple[Target, ...] = get_args(Target)
FORMS: Mapping[str, Mapping[str, Any]] = {
    "fixed point in straight lines": {"fixed_point": True, "straight_line": True},
    "fixed point": {"fixed_point": True},
    "float": {},
}
"""Arguments of ``to_c`` for each form, the cheapest first."""
_PACKAGES: Mapping[Target, Mapping[str, str]] = {
    "host": {"cc": "gcc", "valgrind": "valgrind"},
    "cortex-m4": {
        "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
        "qemu-system-arm": "qemu-system-arm",
    },
}
_FLAGS: Mapping[Target, tuple[str, ...]] = {
    "host": ("cc", "-std=c99", "-O2"),
    "cortex-m4": (
        "arm-none-eabi-gcc", "-std=c99", "-O2", "-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16",
        "-mfloat-abi=hard",
    ),
}  # fmt: skip
_SHIFT = 5  # of QEMU's clock: an instruction takes 2**5 ns
_MACHINE = (
    "qemu-system-arm", "-M", "mps2-an386", "-icount", f"shift={_SHIFT}", "-display", "none",
    "-monitor", "none", "-serial", "none", "-semihosting",
)  # fmt: skip
_TICK_NS = 40  # of the timer at 25 MHz
_SECONDS = 600

_LOOP = """\
#include <stdint.h>
#include "agent.h"

{tables}

static void play(void (*step)(agent_state *, const float *, agent_action *)) {{
    static agent_state state;
    agent_action action;
    for (int k = 0; k < {count}; k++) {{
        if (starts[k]) {{
            agent_reset(&state);
        }}
        step(&state, observations[k], &action);
    }}
}}
"""

_HOST = """
int main(void) {
    play(agent_step);
    return 0;
}
"""

_CORTEX = """
void start(void);
__attribute__((section(".vectors"), used)) static const uintptr_t vectors[2] = {
    0x20400000, (uintptr_t)start};
static volatile uint32_t *const timer = (volatile uint32_t *)0x40000000;

static void call_host(int operation, const void *argument) {
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

__attribute__((noinline)) static void idle(agent_state *state, const float *observation,
                                           agent_action *action) {
    __asm__ volatile("" : : "r"(state), "r"(observation), "r"(action));
}

static void show(uint32_t number) {
    char text[12] = {0}, *place = text + 11;
    *--place = '\\n';
    do {
        *--place = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    call_host(4, place);
}

__attribute__((noinline)) static void run(void) {
    timer[2] = 0xffffffff; /* reload, value, on */
    timer[1] = 0xffffffff;
    timer[0] = 1;
    const uint32_t first = timer[1];
    play(agent_step);
    const uint32_t second = timer[1];
    play(idle);
    const uint32_t third = timer[1];
    show(first - second);
    show(second - third);
    call_host(0x18, (const void *)0x20026);
}

void start(void) {
    *(volatile uint32_t *)0xe000ed88 |= 0xf << 20; /* the floating-point unit */
    __asm__ volatile("dsb\\n isb");
    run();
}
"""

_SCRIPT = """\
MEMORY { code : ORIGIN = 0, LENGTH = 4M  data : ORIGIN = 0x20000000, LENGTH = 4M }
SECTIONS {
    .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) *(.ARM*) } > code
    .data : { *(.data*) } > data
    .bss : { *(.bss*) *(COMMON) end = .; } > data
}
"""


@dataclass(frozen=True)
class Instructions:
    """Instructions of an agent's decision as C."""

    per_decision: float
    """Mean over the decisions."""
    target: Target
    form: str
    """A key of ``FORMS``."""
    decisions: int
    compiler: str
    """Command and version of the compiler."""


def count_instructions(
    model: BaseAlgorithm | BasePolicy,
    env_id: str,
    target: Target = "host",
    *,
    decisions: int = 1000,
    visits: Visits | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
) -> Instructions:
    """Count the instructions of an agent's decisions in its own episodes, without exploration.

    The C has the cheapest form that the agent has: fixed point in straight lines, fixed point with
    loops, or float.

    Args:
        model: Algorithm with a policy of snn_gym, or the policy.
        env_id: Gymnasium id.
        target: ``host`` (callgrind) or ``cortex-m4`` (QEMU).
        decisions: Decisions, those of the first episodes of ``visit``.
        visits: Result of ``visit``; None plays its episodes.
        env_kwargs: Arguments of the environment.

    Raises:
        ValueError: A tool is not installed, the agent has no form in C, or the program failed.
    """
    check_tools(target)
    policy = raw_policy(model, env_id, env_kwargs)
    if visits is None:
        visits = visit(model, env_id, env_kwargs=env_kwargs)
    episodes = first_episodes(policy, env_id, decisions, env_kwargs)
    return count_program(policy.program(), episodes, target, visits=visits)


def count_program(
    program: Program,
    episodes: Sequence[NDArray[Any]],
    target: Target = "host",
    *,
    visits: Visits | None = None,
) -> Instructions:
    """Count the instructions of a program's decisions on the observations (N, ...) of episodes.

    Args:
        program: The program.
        episodes: Observations of each episode, at whose start the state is reset.
        target: ``host`` (callgrind) or ``cortex-m4`` (QEMU).
        visits: Result of ``visit``; without it, agents that spike or carry a state are in float.

    Raises:
        ValueError: A tool is not installed, the program has no form in C, or counting failed.
    """
    check_tools(target)
    observations = np.concatenate([x.reshape(len(x), -1) for x in episodes]).astype(np.float32)
    starts = np.zeros(len(observations), np.int8)
    starts[np.cumsum([0, *map(len, episodes[:-1])])] = 1
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        form, files = _cheapest(program, folder, visits)
        tables = (table("observations", observations), table("starts", starts))
        driver = _LOOP.format(tables="\n\n".join(tables), count=len(observations))
        (folder / "driver.c").write_text(driver + (_HOST if target == "host" else _CORTEX))
        counted = _on_host(files) if target == "host" else _on_cortex(files)
    version = _output([_FLAGS[target][0], "--version"]).splitlines()[0]
    compiler = f"{' '.join(_FLAGS[target])}, {version}"
    return Instructions(counted / len(observations), target, form, len(observations), compiler)


def check_tools(name: str | None) -> Target:
    """Return the target of a name; ValueError if it is unknown, or a tool is not installed."""
    target = next((x for x in TARGETS if x == name), None)
    if target is None:
        raise ValueError(f"target {name!r} is unknown; known: {', '.join(TARGETS)}")
    for tool, package in _PACKAGES[target].items():
        if shutil.which(tool) is None:
            raise ValueError(
                f"{tool} is not installed, and counting instructions on {target} needs it; on "
                f"Debian: apt-get install {package}"
            )
    return target


def _cheapest(program: Program, folder: Path, visits: Visits | None) -> tuple[str, CFiles]:
    """Write the cheapest form that a program has; ValueError if it has none."""
    *forms, last = FORMS
    for form in forms:
        try:
            return form, to_c(program, folder, visits=visits, **FORMS[form])
        except ValueError:
            continue  # the next form is for more programs
    return last, to_c(program, folder)


def _on_host(files: CFiles) -> float:
    """Return the instructions of all decisions by callgrind."""
    folder = files.source.parent
    built, counted = str(folder / "driver"), folder / "callgrind.out"
    _output([*_FLAGS["host"], "-o", built, f"{built}.c", str(files.source), "-lm"])
    words = ["valgrind", "--tool=callgrind", "--toggle-collect=agent_step"]
    _output([*words, f"--callgrind-out-file={counted}", built])
    found = re.search(r"^(?:summary|totals): (\d+)", counted.read_text(), re.MULTILINE)
    assert found is not None  # callgrind writes it
    return float(found[1])


def _on_cortex(files: CFiles) -> float:
    """Return the instructions of all decisions by QEMU."""
    folder = files.source.parent
    built, script = folder / "driver.elf", folder / "driver.ld"
    script.write_text(_SCRIPT)
    sources = [str(folder / "driver.c"), str(files.source)]
    linked = ["-nostartfiles", "-specs=nosys.specs", "-T", str(script), "-o", str(built)]
    _output([*_FLAGS["cortex-m4"], *linked, *sources, "-lm"])
    shown = _output([*_MACHINE, "-kernel", str(built)])
    whole, idle = (int(x) for x in shown.split())
    return (whole - idle) * _TICK_NS / (1 << _SHIFT)


def _output(words: Sequence[str]) -> str:
    """Return the output of a command; ValueError with its last line if it fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"{words[0]} ran for more than {_SECONDS} s") from error
    said = done.stdout + done.stderr
    if done.returncode != 0:
        lines = said.strip().splitlines() or ["no output"]
        raise ValueError(f"{words[0]} failed ({done.returncode}): {lines[-1]}")
    return said
