"""Front doors of web applications: an address that is there before any worker is."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from gpuhub_mock.emulator.refusals import Refusal
from gpuhub_mock.emulator.runner_subprocess import SubprocessRunner

if TYPE_CHECKING:
    from gpuhub_mock.emulator.execution import Execution
    from gpuhub_mock.emulator.traffic import Traffic
    from gpuhub_mock.emulator.turns import Turns

__all__ = ["FrontDoors"]

_PIECE = 65_536
_REFUSED = (
    "HTTP/1.1 {status} Refused\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n{why}\n"
)


class FrontDoors:
    """Listens for each web deployment; a connection counts as a call while it is open.

    Args:
        traffic: Accepts calls.
        turns: Waits for a worker.
        execution: Keeps account.
    """

    def __init__(self, traffic: Traffic, turns: Turns, execution: Execution) -> None:
        self._traffic = traffic
        self._turns = turns
        self._execution = execution
        self._lock = threading.Lock()
        self._listeners: dict[str, socket.socket] = {}

    def url(self, name: str) -> str:
        """Give the address of a deployment, opened at the first question."""
        with self._lock:
            if name not in self._listeners:
                listener = socket.create_server(("127.0.0.1", 0), backlog=256)
                self._listeners[name] = listener
                threading.Thread(target=self._listen, args=(name, listener), daemon=True).start()
            return f"http://127.0.0.1:{self._listeners[name].getsockname()[1]}"

    def close(self) -> None:
        """Stop listening."""
        with self._lock:
            listeners, self._listeners = self._listeners, {}
        for listener in listeners.values():
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            listener.close()

    def _listen(self, name: str, listener: socket.socket) -> None:
        while True:
            try:
                visitor, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(name, visitor), daemon=True).start()

    def _serve(self, name: str, visitor: socket.socket) -> None:
        with visitor:
            try:
                self._pass_on(name, visitor)
            except Refusal as refusal:
                _refuse(visitor, refusal)

    def _pass_on(self, name: str, visitor: socket.socket) -> None:
        call = self._traffic.submit(name, b"", "web")
        if not self._turns.is_mine(call):
            raise call.problem or Refusal(503, "stopped", "the deployment does not serve now")
        worker = self._execution.hold(call)
        if worker is None:
            raise Refusal(503, "stopped", "the deployment does not serve now")
        try:
            if isinstance(worker.runner, SubprocessRunner):
                _relay(visitor, worker.runner.port)
        finally:
            self._execution.let_go(call, worker)


def _refuse(visitor: socket.socket, refusal: Refusal) -> None:
    text = _REFUSED.format(status=refusal.status or 502, why=refusal.message)
    with contextlib.suppress(OSError):
        visitor.recv(_PIECE)  # closing with unread data would reset the connection
        visitor.sendall(text.encode())


def _relay(visitor: socket.socket, port: int) -> None:
    """Copy bytes both ways until either side ends."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as worker:
        back = threading.Thread(target=_copy, args=(worker, visitor), daemon=True)
        back.start()
        _copy(visitor, worker)
        back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
