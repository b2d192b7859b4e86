"""Forks workers: a script of its own, without site packages; see the package.

It takes orders over a socket, one JSON document each with descriptors, and reports every end. When
the socket closes, whoever ordered is gone: all children are killed. Standard library only.
"""

from __future__ import annotations

import contextlib
import gc
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

LENGTH = struct.Struct("!I")
"""How the length of an order stands before it."""

_MOST_DESCRIPTORS = 2


class Forker:
    """The process.

    Args:
        orders: Socket of whoever orders.
        child: Module that says what a worker is.
    """

    def __init__(self, orders: socket.socket, child: Any) -> None:
        self._orders = orders
        self._child = child
        self._logs: int = getattr(child, "LOGS", 1)
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
            _end(pid)

    def _take_order(self) -> bool:
        try:
            head, descriptors, _, _ = socket.recv_fds(self._orders, LENGTH.size, _MOST_DESCRIPTORS)
        except ConnectionResetError:
            return False
        if not head:
            return False
        body = b""
        (length,) = LENGTH.unpack(head)
        while len(body) < length:
            body += self._orders.recv(length - len(body))
        order = json.loads(body)
        if "kill" in order:
            for pid, name in self._children.items():
                if name == order["kill"]:
                    _end(pid)
            return True
        pid = os.fork()
        if pid == 0:
            self._become(order, descriptors)
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

    def _become(self, order: dict[str, Any], descriptors: list[int]) -> NoReturn:
        """Be the worker; runs in the child."""
        code = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (self._orders, self._wakeup, self._signals):
                each.close()
            logs = descriptors[: self._logs]
            nothing = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((nothing, 0), (logs[0], 1), (logs[-1], 2)):
                os.dup2(source, target)
            for log in logs:
                os.close(log)
            os.environ.clear()
            os.environ.update(order["env"])
            tempfile.tempdir = None  # it follows TMPDIR
            os.chdir(order["folder"])
            code = self._child.become(order, descriptors[self._logs :]) or 0
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else int(bool(ending.code))
        except BaseException:  # noqa: BLE001 - as the interpreter does
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _end(pid: int) -> None:
    """Kill a child, also one that has no group of its own yet."""
    _kill(pid)
    os.kill(pid, signal.SIGKILL)


def _loaded(path: str) -> Any:
    """Import a file that is on no path of the children's."""
    spec = importlib.util.spec_from_file_location("nursery_child", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Import everything, then take orders: ``process.py SOCKET CHILD [PATH…]``."""
    _, orders, file, *paths = sys.argv
    child = _loaded(file)
    child.prepare(paths)
    for module in child.WARM:
        importlib.import_module(module)
    gc.freeze()  # children share what is there
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Forker(socket.socket(fileno=int(orders)), child).run()


if __name__ == "__main__":
    main()
