"""Quick replicas, forked from one warm Python."""

from __future__ import annotations

import functools
from pathlib import Path

from gpuhub.testing.emulator.http import listening
from gpuhub.testing.emulator.nursery import Nursery, package_folders
from gpuhub_baseten.emulator.machines.kinds import Order

__all__ = ["ForkedMachine", "nursery"]


@functools.cache
def nursery() -> Nursery:
    """Give the one of this process."""
    return Nursery(
        Path(__file__).with_name("child.py"),
        package_folders("starlette", "uvicorn", "anyio", "h11"),
    )


class ForkedMachine:
    """A process that plays Truss's server.

    Args:
        order: What to run.
    """

    played = None

    def __init__(self, order: Order) -> None:
        self._order = order
        self._name = ""
        self._listener = listening(0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def start(self) -> None:
        """Fork it."""
        order = {
            "folder": str(self._order.image / "app"),
            "config": dict(self._order.config),
            "env": dict(self._order.env),
            "secrets": dict(self._order.secrets),
            "environment": self._order.environment,
        }
        with self._order.log.open("ab") as log:
            self._name = nursery().fork(
                order, [log.fileno(), self._listener.fileno()], self._order.exited
            )
        self._listener.close()

    def stop(self) -> None:
        """Kill it and its group."""
        nursery().kill(self._name)
