"""Running an example of a provider's as somebody without an account would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def run_example(name: str, folder: Path) -> str:
    """Run ``examples/<name>`` in a folder; give what it prints.

    The first part of the name is the provider, whose variables it does not see.
    """
    private = name.partition("_")[0].upper() + "_"
    kept = {key: text for key, text in os.environ.items() if not key.startswith(private)}
    ran = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name],
        cwd=folder,
        env={**kept, "GPUHUB_STATE_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
