"""Forks containers from one Python that has Modal's runtime imported: a script of its own.

It takes orders over a socket, one JSON document each with the descriptors of its two logs, and
reports every end. When the socket closes, whoever ordered is gone: all children are killed.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import sys
import tempfile
import traceback
from typing import Any, NoReturn

_LENGTH = struct.Struct("!I")
_LOGS = 2

_ENTRY = "modal._container_entrypoint"
_WARM = (
    *("modal", "modal._cluster", "modal._runtime.asgi", "modal._runtime.container_io_manager"),
    *("modal._runtime.execution_context", "modal._runtime.task_lifecycle_manager"),
    *("modal._runtime.user_code_imports", "modal._serialization", "modal.running_app"),
    *("asyncio", "base64", "concurrent.futures", "dataclasses", "decimal", "http.server"),
    *("importlib.util", "shutil", "subprocess", "tarfile", "urllib.request", "uuid", "zipfile"),
)
"""What the entry point imports, and what user code often does; not the entry point itself, which
each child runs as its main module."""


class Nursery:
    """The process.

    Args:
        orders: Socket of whoever orders.
    """

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
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
        head, descriptors, _, _ = socket.recv_fds(self._orders, _LENGTH.size, _LOGS)
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
            self._become(order, descriptors)
        self._children[pid] = order["id"]
        for log in descriptors:
            os.close(log)
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

    def _become(self, order: dict[str, Any], logs: list[int]) -> NoReturn:
        """Be the container; runs in the child."""
        code = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for each in (self._orders, self._wakeup, self._signals):
                each.close()
            nothing = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((nothing, 0), (logs[0], 1), (logs[1], 2)):
                os.dup2(source, target)
            _take_environment(order["env"], order["folder"])
            runpy.run_module(_ENTRY, run_name="__main__", alter_sys=True)
            code = 0
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else int(bool(ending.code))
        except BaseException:  # noqa: BLE001 - as the interpreter does
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)


def _take_environment(env: dict[str, str], folder: str) -> None:
    """See what a fresh process of the container would see."""
    os.environ.clear()
    os.environ.update(env)
    tempfile.tempdir = None  # it follows TMPDIR
    os.chdir(folder)
    sys.argv = [_ENTRY]
    sys.path[:0] = [folder, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.path.append(sys.argv[2])
    for module in _WARM:
        importlib.import_module(module)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # children share what is there
    Nursery(socket.socket(fileno=int(sys.argv[1]))).run()
