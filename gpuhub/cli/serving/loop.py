"""Build, run, watch, repeat."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from pathspec import GitIgnoreSpec
from watchfiles import Change, watch

from gpuhub.cli.serving.building import Order, Served, read_result
from gpuhub.cli.serving.events import Events
from gpuhub.cli.serving.local_worker import LocalWorker, is_free

__all__ = ["Loop", "SourceFilter", "rounds"]

_LOOK_EVERY_MS = 150
_SETTLE_MS = 200
# The user's module may print while it is imported; standard output is for events.
_STANDARD_ERROR = 2
_SETTINGS = frozenset({"gpuhub.toml", "pyproject.toml", ".gitignore", ".gpuhubignore"})
_PASSED_BY = frozenset({"__pycache__", "node_modules", "site-packages"})


class SourceFilter:
    """Says which changed files can change a bundle.

    Args:
        root: The project's folder.
        include: Patterns of files that are bundled beside Python's.
    """

    def __init__(self, root: Path, include: Sequence[str]) -> None:
        self._root = root
        self._include = GitIgnoreSpec.from_lines(include)

    def __call__(
        self,
        change: Change,  # noqa: ARG002 - watchfiles passes it
        path: str,
    ) -> bool:
        """Whether to look at the change."""
        try:
            inside = Path(path).relative_to(self._root)
        except ValueError:
            return False
        if any(part in _PASSED_BY or part.startswith(".") for part in inside.parts[:-1]):
            return False
        is_source = inside.suffix == ".py" or inside.name in _SETTINGS
        return is_source or self._include.match_file(inside.as_posix())


def rounds(root: Path, include: Sequence[str], stop: threading.Event) -> Iterator[None]:
    """One round at the start and one after each save, until stopped.

    The files are watched before the first round, so that no save is missed.
    """
    started = False
    changes = watch(
        root,
        watch_filter=SourceFilter(root, include),
        stop_event=stop,
        rust_timeout=_LOOK_EVERY_MS,
        yield_on_timeout=True,
        step=_SETTLE_MS // 4,
        debounce=_SETTLE_MS,
    )
    for changed in changes:
        if changed or not started:
            started = True
            yield


class Loop:
    """The workers of the version that was built last.

    Args:
        order: What to build; its folder is where each build gets one below.
        port: Port of the first function, the others follow; 0 takes free ones.
        events: Told what happens.
    """

    def __init__(self, order: Order, port: int, events: Events) -> None:
        self._order = order
        self._port = port
        self._events = events
        self._builds = 0
        self._folder: Path | None = None
        self._served: list[Served] = []
        self._workers: list[LocalWorker] = []

    def round(self) -> None:
        """Build; run the new version unless it is the one that runs. Never raises for user code."""
        self._builds += 1
        folder = Path(self._order.folder, str(self._builds))
        folder.mkdir()
        code = self._build(folder)
        if code:
            self._events.refused(code, serving=bool(self._workers))
            return
        served = read_result(folder)
        superseded: Path | None = folder
        if [each.digest for each in served] != [each.digest for each in self._served]:
            self._run(served)
            superseded, self._folder = self._folder, folder
        if superseded is not None:
            shutil.rmtree(superseded, ignore_errors=True)

    def _build(self, folder: Path) -> int:
        order = json.dumps(asdict(replace(self._order, folder=str(folder))))
        command = [sys.executable, "-m", "gpuhub.cli.serving.building", order]
        done = subprocess.run(  # noqa: S603 - our own module
            command, check=False, stdin=subprocess.DEVNULL, stdout=_STANDARD_ERROR
        )
        return done.returncode

    def stop(self) -> None:
        """End all workers."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.stop()

    def _run(self, served: list[Served]) -> None:
        self.stop()
        self._served = served
        for number, each in enumerate(served):
            self._remark(each)
            port = self._port and self._port + number
            if is_free(port):
                self._workers.append(LocalWorker(each, port, self._events))
            else:
                self._events.failed(each, {"message": f"port {port} is taken: choose --port"})

    def _remark(self, served: Served) -> None:
        """Say what a local worker does not have."""
        missing = [here for here in served.secrets.values() if here not in os.environ]
        if missing:
            self._events.note(f"{served.name}: secrets not set here: {', '.join(missing)}")
        if served.volumes:
            mounts = ", ".join(served.volumes)
            self._events.note(f"{served.name}: not mounted locally: {mounts}")
