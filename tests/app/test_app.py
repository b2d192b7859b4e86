"""One application, six backends: only the provider changes, and the results do not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
APP = ROOT / "examples" / "app"
PLAY = Path(__file__).with_name("play.py")
SECRET = "made-up-triage-key"
CREDENTIALS = {
    "BASETEN_API_KEY": "made-up",
    "BEAM_TOKEN": "made-up",
    "MODAL_PROXY_TOKEN_ID": "wk-made-up",
    "MODAL_PROXY_TOKEN_SECRET": "ws-made-up",
    "MODAL_TOKEN_ID": "ak-made-up",
    "MODAL_TOKEN_SECRET": "as-made-up",
    "REPLICATE_API_TOKEN": "made-up",
    "RUNPOD_API_KEY": "made-up",
}
IN_THEIR_OWN = ("modal",)
"""Providers whose adapter and emulator run in the vendor's environment; of others only workers."""
REFUSED: Mapping[str, Mapping[str, list[str]]] = json.loads(
    Path(__file__).with_name("refused.json").read_text()
)
"""By provider and function: the settings for which it is refused before anything is sent."""

PASSED = ("CI", "PATH", "UV", "SSL_CERT_")
"""Beginnings of the variables that gpuhub, and the uv it starts, see of this machine's."""
CACHES = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
UV_CACHE = os.environ.get("UV_CACHE_DIR") or str(CACHES / "uv")
"""Without a network, wheels for an image come from there; asked before tests change HOME."""

pytestmark = [pytest.mark.slow, pytest.mark.sdk, pytest.mark.timeout(240)]


def interpreter(provider: str) -> str:
    """The Python that has what the provider's adapter needs."""
    return str(vendor_python(provider)) if provider in IN_THEIR_OWN else sys.executable


def vendor_python(provider: str) -> Path:
    """The Python of the vendor's environment."""
    return ROOT / f".venv-{provider}" / "bin" / "python"


@contextmanager
def played(provider: str) -> Iterator[dict[str, str]]:
    """Play it in a process of its own; at its end it must have no orphan."""
    with subprocess.Popen(
        [interpreter(provider), str(PLAY), provider],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        said, _ = process.communicate(timeout=100)
    assert json.loads(said) == {"orphans": []}


def answers(folder: Path, provider: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """Run the application; give what came by function."""
    app = folder / "app"
    if not app.exists():
        shutil.copytree(APP, app, ignore=shutil.ignore_patterns(".gpuhub", "__pycache__"))
    environment = {
        **{name: value for name, value in os.environ.items() if name.startswith(PASSED)},
        "HOME": str(folder),
        "UV_CACHE_DIR": UV_CACHE,
        "TRIAGE_KEY": SECRET,
        "GPUHUB_PROVIDER": provider,
        **CREDENTIALS,
        **variables,
    }
    done = subprocess.run(
        [interpreter(provider), str(app / "main.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=220,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line.pop("function"): line for line in lines}


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> dict[str, Any]:
    """What the mock gives, which has everything."""
    found = answers(tmp_path_factory.mktemp("mock"), "mock", {})
    assert all("result" in each for each in found.values()), found
    return found


@pytest.mark.parametrize("provider", sorted(REFUSED))
def test_the_application_is_the_same_everywhere(provider, expected, tmp_path):
    """Same results, exceptions and order; what cannot be done is refused before it is sent."""
    if not vendor_python(provider).exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"there is no {vendor_python(provider)}: .ci/run makes it")
        pytest.skip(f"there is no {vendor_python(provider)}: see tests/vendor/README.md")
    with played(provider) as variables:
        found = answers(tmp_path, provider, variables)
    refused = {name: line["refused"] for name, line in found.items() if "refused" in line}
    assert refused == REFUSED[provider]
    assert {name: found[name] for name in found if name not in refused} == {
        name: line for name, line in expected.items() if name not in refused
    }
