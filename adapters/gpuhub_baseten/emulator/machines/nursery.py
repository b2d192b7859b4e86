"""Forks quick replicas: a script of its own, in a Python that has imported all they need.

It takes orders over a socket, one JSON document each with the descriptors of log and listener, and
reports every end. When the socket closes, whoever ordered is gone: all children are killed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, NoReturn

_LENGTH = struct.Struct("!I")

_WARM = (
    *("asyncio", "base64", "concurrent.futures", "contextvars", "dataclasses", "datetime"),
    *("decimal", "hashlib", "importlib.util", "inspect", "shutil", "subprocess", "tarfile"),
    *("tempfile", "typing", "urllib.request", "uuid", "anyio._backends._asyncio"),
    *("starlette.concurrency", "starlette.requests", "starlette.responses", "uvicorn"),
    *("uvicorn.lifespan.on",),
    *("uvicorn.loops.asyncio", "uvicorn.protocols.http.h11_impl", "uvicorn.logging"),
)
"""What a replica needs, imported once instead of once for each."""


class Nursery:
    """The process.

    Args:
        orders: Socket of whoever orders.
        serve: Takes an order and the socket to serve; runs in the child.
    """

    def __init__(self, orders: socket.socket, serve: Any) -> None:
        self._orders = orders
        self._serve = serve
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
        head, descriptors, _, _ = socket.recv_fds(self._orders, _LENGTH.size, 2)
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
        log, listener = descriptors
        pid = os.fork()
        if pid == 0:
            self._become(order, log, listener)
        self._children[pid] = order["id"]
        os.close(log)
        os.close(listener)
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

    def _become(self, order: dict[str, Any], log: int, listener: int) -> NoReturn:
        """Be the replica; runs in the child."""
        code = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number, handler in (
                (signal.SIGCHLD, signal.SIG_DFL),
                (signal.SIGINT, signal.default_int_handler),
            ):
                signal.signal(number, handler)
            for each in (self._orders, self._wakeup, self._signals):
                each.close()
            nothing = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((nothing, 0), (log, 1), (log, 2)):
                os.dup2(source, target)
            sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
            os.environ.clear()
            os.environ.update(order["env"])
            tempfile.tempdir = None  # it follows TMPDIR
            root = Path(order["root"])
            os.chdir(root / "app")
            sys.argv = ["main.py"]
            sys.path[:1] = [str(root / "app"), str(root / "packages")]
            self._serve(order, socket.socket(fileno=listener))
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


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def main() -> None:
    """Import everything, then take orders."""
    sys.path[:0] = [str(Path(__file__).parent)]  # a replica puts its own in this place
    sys.path.extend(sys.argv[2:])
    for module in _WARM:
        importlib.import_module(module)
    stub = importlib.import_module("stub")  # beside this script
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Nursery(socket.socket(fileno=int(sys.argv[1])), stub.serve).run()


if __name__ == "__main__":
    main()
