"""What the container pays for gpuhub: importing the user's module through the stub, and the worker.

Run it alone: ``uv run --no-sync python tests/benchmarks/bench_worker_import.py``.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from gpuhub import worker
from gpuhub.bundle import build_bundle
from gpuhub.worker.target import Target

RUNS = 15
PROBE = """
import sys, time
start = time.perf_counter()
import {module}
took = time.perf_counter() - start
packages = [m for m in sys.modules.values() if "site-packages" in str(getattr(m, "__file__", ""))]
print(took * 1000, len(packages), len(sys.modules))
"""
DECORATED = (
    "import gpuhub\n"
    "@gpuhub.function(gpu='A100', image=gpuhub.Image(pip=['torch']), secrets=['HF_TOKEN'])\n"
)


def measure(folder: Path, module: str) -> tuple[float, int, int]:
    """Give milliseconds (median), packages and modules of importing a module on a bare Python."""
    command = [sys.executable, "-S", "-E", "-c", PROBE.format(module=module)]
    results = [
        subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        for _ in range(RUNS)
    ]
    numbers = [result.stdout.split() for result in results]
    times = [float(took) for took, _, _ in numbers]
    return statistics.median(times), int(numbers[0][1]), int(numbers[0][2])


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        bare, stub = Path(scratch, "bare"), Path(scratch, "stub")
        for folder, prefix in ((bare, ""), (stub, DECORATED)):
            (folder / "gpuhub" / "worker").mkdir(parents=True)
            (folder / "user_module.py").write_text(f"{prefix}def f(): ...\n")
        source = Path(worker.__file__).parent
        for path in source.glob("*.py"):
            name = "__init__.py" if path.name == "stub.py" else f"worker/{path.name}"
            (stub / "gpuhub" / name).write_bytes(path.read_bytes())
        rows = {
            "user module, bare": measure(bare, "user_module"),
            "user module, through the stub": measure(stub, "user_module"),
            "worker: gpuhub.worker.load": measure(stub, "gpuhub.worker.load"),
            "worker: gpuhub.worker.server": measure(stub, "gpuhub.worker.server"),
        }
        sys.path.insert(0, str(bare))
        bundle = build_bundle(Target("user_module", "f"), bare)
    for name, (took, packages, modules) in rows.items():
        print(f"{name:32} {took:7.2f} ms  {packages} packages  {modules} modules")
    cost = rows["user module, through the stub"][0] - rows["user module, bare"][0]
    print(f"cost of the stub: {cost:.2f} ms (target: below 20 ms, 0 packages)")
    print(f"bundle: {bundle.size:,} bytes, {len(bundle.tar_gz()):,} as .tar.gz")


if __name__ == "__main__":
    main()
