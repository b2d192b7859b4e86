"""Quick containers, forked from one warm Python."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.nursery import Nursery
from gpuhub_modal.emulator.machines.library import library

if TYPE_CHECKING:
    from gpuhub_modal.emulator.containers import MachineOrder

__all__ = ["ForkedMachine", "nursery"]


@functools.cache
def nursery() -> Nursery:
    """Give the one of this process."""
    child = Path(__file__).with_name("child.py")
    return Nursery(child, [str(library())], {"MODAL_IS_REMOTE": "1"})


class ForkedMachine:
    """A forked container.

    Args:
        order: What to run.
    """

    def __init__(self, order: MachineOrder) -> None:
        self._order = order
        self._name = ""

    def start(self) -> None:
        """Fork it."""
        log = self._order.log
        with log.path("stdout").open("ab") as output, log.path("stderr").open("ab") as errors:
            order = {"env": dict(self._order.env), "folder": str(self._order.folder)}
            descriptors = [output.fileno(), errors.fileno()]
            self._name = nursery().fork(order, descriptors, self._order.exited)

    def stop(self) -> None:
        """Kill it and its group."""
        nursery().kill(self._name)
