"""What every test has: a clean environment, and `drive` for the three ways of calling."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

import hypothesis
import pytest

T = TypeVar("T")
Mode = Literal["sync", "async", "sync-in-loop"]

PRIVATE_PREFIXES = (
    "GPUHUB_",
    "AWS_",
    "BASETEN_",
    "BEAM_",
    "BETA9_",
    "COG_",
    "HF_",
    "MODAL_",
    "REPLICATE_",
    "RUNPOD_",
    "TRUSS_",
)
PROXIES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY")
FOLDERS = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_configure() -> None:
    """Forget the developer's credentials and settings before any test module is imported."""
    for name in list(os.environ):
        if name.upper().startswith(PRIVATE_PREFIXES) or name.upper() in PROXIES:
            del os.environ[name]


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    base = tmp_path_factory.mktemp("homes")
    return (base / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _own_home(_homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give each test a home of its own and no default workspace of an earlier one.

    The folders are made by whoever writes to them: most tests do not.
    """
    home = next(_homes)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    for variable in FOLDERS:
        monkeypatch.setenv(variable, str(home / variable.lower()))
    yield
    if workspace := sys.modules.get("gpuhub.workspace"):
        workspace.defaults.clear()


class Drive:
    """Calls a public method or its ``_async`` twin, so that one test covers both.

    Attributes:
        mode: ``sync`` calls the method, ``async`` awaits its twin on a loop that lives as long as
            the test, ``sync-in-loop`` calls the method while a loop runs, as notebooks do.
    """

    def __init__(self, mode: Mode, runner: asyncio.Runner) -> None:
        self.mode = mode
        self._runner = runner

    def call(self, target: Any, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Give what ``target.<name>(…)`` returns, whichever way it is called."""
        if self.mode == "async":
            return self._runner.run(getattr(target, f"{name}_async")(*args, **kwargs))
        return self.do(lambda: getattr(target, name)(*args, **kwargs))

    def items(self, target: Any, name: str, /, *args: Any, **kwargs: Any) -> list[Any]:
        """Give all items of an iterating method (``map``, ``stream``, ``logs``)."""
        if self.mode == "async":
            return self._runner.run(_listed(getattr(target, f"{name}_async"), *args, **kwargs))
        return self.do(lambda: list(getattr(target, name)(*args, **kwargs)))

    def do(self, action: Callable[[], T]) -> T:
        """Run blocking code, inside a running loop when the mode says so."""
        if self.mode != "sync-in-loop":
            return action()

        async def inside_loop() -> T:
            return action()

        return self._runner.run(inside_loop())


async def _listed(method: Callable[..., Any], *args: Any, **kwargs: Any) -> list[Any]:
    return [item async for item in method(*args, **kwargs)]


@pytest.fixture(params=["sync", "async", "sync-in-loop"])
def drive(request: pytest.FixtureRequest) -> Iterator[Drive]:
    """Run the test in each of the three ways of calling."""
    with asyncio.Runner() as runner:
        yield Drive(request.param, runner)
