"""Forks quick worker processes: a script of its own in a warm Python.

It takes orders over a socket, one JSON document each with the descriptors of the log and of the
socket to listen on, and reports every end. When the socket closes, whoever ordered is gone: all
children are killed.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import selectors
import signal
import socket
import struct
import sys
import tempfile
import traceback
from typing import Any, NoReturn

_LENGTH = struct.Struct("!I")

_WARM = (
    *("asyncio", "base64", "concurrent.futures", "contextvars", "dataclasses", "datetime"),
    *("decimal", "hashlib", "http.server", "importlib.util", "inspect", "pickle", "queue"),
    *("shutil", "subprocess", "tarfile", "tempfile", "typing", "urllib.request", "uuid"),
    *("starlette.applications", "starlette.middleware", "starlette.responses"),
    *("starlette.routing", "uvicorn", "uvicorn.lifespan.on", "uvicorn.loops.asyncio"),
    "uvicorn.protocols.http.h11_impl",
)
"""What a worker needs, imported once instead of once for each."""


class Nursery:
    """The process.

    Args:
        orders: Socket of whoever orders.
        runner: The module that plays beta9's runner.
    """

    def __init__(self, orders: socket.socket, runner: Any) -> None:
        self._orders = orders
        self._runner = runner
        self._children: dict[int, str] = {}
        self._wakeup, wakeup = socket.socketpair()
        self._wakeup.setblocking(False)
        wakeup.setblocking(False)
        self._signals = wakeup
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakeup.fileno())

    def run(self) -> None:
        """Work until the socket closes."""
        selector = selectors.DefaultSelector()
        selector.register(self._orders, selectors.EVENT_READ)
        selector.register(self._wakeup, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if self._wakeup in ready:
                self._reap()
            if self._orders in ready and not self._take_order():
                break
        for pid in self._children:
            _kill(pid)

    def _take_order(self) -> bool:
        try:
            head, descriptors, _, _ = socket.recv_fds(self._orders, _LENGTH.size, 2)
        except ConnectionResetError:
            return False
        if not head:
            return False
        body = b""
        (length,) = _LENGTH.unpack(head)
        while len(body) < length:
            body += self._orders.recv(length - len(body))
        order = json.loads(body)
        if "kill" in order:
            for pid, name in self._children.items():
                if name == order["kill"]:
                    _kill(pid)
            return True
        pid = os.fork()
        if pid == 0:
            self._become(order, *descriptors)
        self._children[pid] = order["id"]
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wakeup.recv(4096)
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            _kill(pid)  # its own children, such as what the user's code started
            report = {"id": self._children.pop(pid), "code": os.waitstatus_to_exitcode(status)}
            self._orders.sendall(json.dumps(report).encode() + b"\n")

    def _become(self, order: dict[str, Any], log: int, listener: int = -1) -> NoReturn:
        """Be the worker; runs in the child."""
        code = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (self._orders, self._wakeup, self._signals):
                each.close()
            nothing = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((nothing, 0), (log, 1), (log, 2)):
                os.dup2(source, target)
            os.close(log)
            os.environ.clear()
            os.environ.update(order["env"])
            tempfile.tempdir = None  # it follows TMPDIR
            os.chdir(order["folder"])
            sys.argv = ["-m"]
            sys.path.insert(0, order["folder"])
            code = self._runner.main(listener)
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else int(bool(ending.code))
        except BaseException:  # noqa: BLE001 - as the interpreter does
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)


def _loaded(path: str) -> Any:
    """Import a file that is on no path of the children's."""
    spec = importlib.util.spec_from_file_location("played_runner", path)
    assert spec is not None  # noqa: S101 - it is there
    assert spec.loader is not None  # noqa: S101 - same
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    _script, _orders, _runner, *_packages = sys.argv
    sys.path.extend(_packages)
    for module in _WARM:
        importlib.import_module(module)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Nursery(socket.socket(fileno=int(_orders)), _loaded(_runner)).run()
