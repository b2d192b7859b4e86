"""Quick worker processes, forked from one warm Python."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.nursery import Nursery

if TYPE_CHECKING:
    from gpuhub_runpod.emulator.jobs import Job
    from gpuhub_runpod.emulator.workers import MachineOrder

__all__ = ["STANDIN", "ForkedMachine", "nursery"]

STANDIN = Path(__file__).parent.parent / "standin"
"""Folder that holds the stand-in for the ``runpod`` package."""


@functools.cache
def nursery() -> Nursery:
    """Give the one of this process."""
    return Nursery(Path(__file__).with_name("child.py"), [str(STANDIN)])


class ForkedMachine:
    """A worker process that runs one script.

    Args:
        order: What to run.
        script: Text of the script.
        env: All its variables.
        folder: Where it starts.
    """

    at_once = 0

    def __init__(
        self, order: MachineOrder, script: str, env: Mapping[str, str], folder: Path
    ) -> None:
        self._order = order
        self._script = script
        self._env = env
        self._folder = folder
        self._name = ""

    def start(self) -> None:
        """Fork it."""
        with self._order.log.path.open("ab") as log:
            order = {
                "script": self._script,
                "env": dict(self._env),
                "folder": str(self._folder),
            }
            self._name = nursery().fork(order, [log.fileno()], self._order.exited)

    def stop(self) -> None:
        """Kill it and its group."""
        nursery().kill(self._name)

    def perform(self, jobs: list[Job]) -> None:
        """It asks for jobs by itself."""
        raise NotImplementedError
