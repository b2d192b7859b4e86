"""Tiny calls on Modal's emulator: gpuhub and Modal's own client, in one process, by turns.

Run it alone: ``.venv-modal/bin/python tests/benchmarks/bench_modal.py``. The emulator runs in a
process of its own, its containers run Modal's runtime. Calls of both take turns in rounds, so that
whatever else the machine does meets both.

There are two first calls. That of a new client, or workspace, in a program that runs: connection,
look-up, call. And that of a fresh process, which pays for imports as well: Modal's own package
is most of it for both, and pydantic with gpuhub's models comes on top.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gpuhub
from tests.benchmarks.measuring import played, seconds_of

ROUNDS = 20
CALLS = 25
FIRSTS = 7
TOKEN = ("ak-made-up", "as-made-up")
EMULATOR = """
import gc, sys
from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub_modal.emulator import EmulatorOptions, ModalEmulator

emulator = ModalEmulator(EmulatorOptions(cold_start_s=0.0), SystemClock())
print(emulator.start()["server_url"], flush=True)
gc.disable()
sys.stdin.read()
emulator.stop()
"""
MODULE = """
def double(number: int) -> int:
    return 2 * number
"""


THEIRS = """
import time
began = time.perf_counter()
import modal
client = modal.Client.from_credentials("ak-made-up", "as-made-up")
assert modal.Function.from_name("theirs", "double", client=client).remote(1) == 2
print(time.perf_counter() - began)
"""
OURS = """
import time
began = time.perf_counter()
import gpuhub, bench_functions
scaling = gpuhub.Scaling(min_workers=1, max_workers=1)
assert gpuhub.function(scaling=scaling)(bench_functions.double).remote(1) == 2
print(time.perf_counter() - began)
"""


def by_turns(ways: dict[str, Callable[[], object]], calls: int = CALLS) -> dict[str, float]:
    """Median milliseconds of each way, that often in a turn."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS):
        order = list(ways) if number % 2 else list(reversed(ways))
        for name in order:
            times[name] += [1000 * seconds_of(ways[name]) for _ in range(calls)]
    return {name: statistics.median(found) for name, found in times.items()}


def import_is_light() -> bool:
    """Whether ``import gpuhub`` leaves Modal's package alone."""
    script = "import sys, gpuhub; print('modal' in sys.modules, 'grpclib' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout.split() == ["False", "False"]


def main() -> None:
    """Deploy both, measure, print."""
    with tempfile.TemporaryDirectory() as place, played(EMULATOR) as url:
        root = Path(place)
        (root / "gpuhub.toml").write_text('app = "ours"\n')
        (root / "bench_functions.py").write_text(MODULE)
        sys.path.insert(0, place)
        os.environ |= {"MODAL_SERVER_URL": url, "MODAL_CONFIG_PATH": str(root / "none")}
        print(json.dumps(measure(root, url), indent=2))


def measure(root: Path, url: str) -> dict[str, Any]:
    """Give medians and ratios."""
    import bench_functions  # type: ignore[import-not-found]
    import modal  # type: ignore[import-not-found, unused-ignore]

    client = modal.Client.from_credentials(*TOKEN)
    app = modal.App("theirs", image=modal.Image.debian_slim())
    app.function(name="double", min_containers=1, max_containers=1)(bench_functions.double)
    app.deploy(client=client)
    environ = {
        "MODAL_TOKEN_ID": TOKEN[0],
        "MODAL_TOKEN_SECRET": TOKEN[1],
        "GPUHUB_STATE_DIR": str(root / "state"),
    }

    def workspace() -> Any:
        options = {"server_url": url}
        return gpuhub.Workspace(
            "modal", app="ours", root=root, provider_options=options, environ=environ
        )

    scaling = gpuhub.Scaling(min_workers=1, max_workers=1)
    function = gpuhub.function(scaling=scaling)(bench_functions.double)
    first = workspace()
    function.in_workspace(first).deploy()
    function.in_workspace(first).remote(1)
    handle = modal.Function.from_name("theirs", "double", client=client)
    handle.remote(1)
    ours = function.in_workspace(first)
    found = by_turns({"modal": lambda: handle.remote(1), "gpuhub": lambda: ours.remote(1)})

    def their_first() -> None:
        new = modal.Client.from_credentials(*TOKEN)
        modal.Function.from_name("theirs", "double", client=new).remote(1)

    with ExitStack() as opened:

        def our_first() -> None:
            new = opened.enter_context(workspace())
            function.in_workspace(new).remote(1)

        news = by_turns({"modal": their_first, "gpuhub": our_first}, calls=2)
    firsts = first_calls(
        root, {**environ, "GPUHUB_PROVIDER": "modal", "GPUHUB_MODAL_SERVER_URL": url}
    )
    first.close()
    return {
        "p50_ms": found,
        "ratio_p50": found["gpuhub"] / found["modal"],
        "first_call_of_a_client_ms": news,
        "ratio_first_call_of_a_client": news["gpuhub"] / news["modal"],
        "first_call_of_a_process_ms": firsts,
        "ratio_first_call_of_a_process": firsts["gpuhub"] / firsts["modal"],
        "import_gpuhub_leaves_modal_alone": import_is_light(),
    }


def first_calls(root: Path, environ: dict[str, str]) -> dict[str, float]:
    """Median milliseconds of the first call of a fresh process, imports included, by turns."""
    times: dict[str, list[float]] = {"modal": [], "gpuhub": []}
    for _ in range(FIRSTS):
        for name, script in (("modal", THEIRS), ("gpuhub", OURS)):
            command = [sys.executable, "-c", script]
            done = subprocess.run(
                command,
                env={**os.environ, **environ},
                cwd=root,
                capture_output=True,
                text=True,
                check=True,
            )
            times[name].append(1000 * float(done.stdout))
    return {name: statistics.median(found) for name, found in times.items()}


if __name__ == "__main__":
    main()
