"""Calls of deployments: requests that a container answers, and tasks that it fetches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.waiting import wait_until
from gpuhub.worker.wire import dumps
from gpuhub_beam.emulator.machines.talk import Connections, Talk, Unreachable
from gpuhub_beam.emulator.payloads import read_payload
from gpuhub_beam.emulator.problems import Problem
from gpuhub_beam.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_beam.emulator.containers import Container
    from gpuhub_beam.emulator.desk import Desk
    from gpuhub_beam.emulator.fleet import Fleet
    from gpuhub_beam.emulator.site import Site
    from gpuhub_beam.emulator.stubs import Stub
    from gpuhub_beam.emulator.tasks import Status, Task
    from gpuhub_beam.emulator.workspace import Workspace

    Answered = tuple[int, list[tuple[bytes, bytes]], Talk]

__all__ = ["Calls"]

_OWN_HEADERS = frozenset(
    ("connection", "content-length", "host", "keep-alive", "transfer-encoding", "upgrade")
)
_GIVEN_HEADERS = frozenset((b"connection", b"keep-alive", b"transfer-encoding", b"date", b"server"))
_REQUESTS = ("endpoint", "asgi")
_LOOK_S = 0.03


class Calls:
    """``/{kind}/…``.

    Args:
        site: What all parts share.
        workspace: Whose deployments.
    """

    def __init__(self, site: Site, workspace: Workspace) -> None:
        self._site = site
        self._workspace = workspace
        self._plays_runner = site.options.workers == "stub"
        self._connections: dict[str, Connections] = {}
        self._watched: set[asyncio.Task[None]] = set()
        self._ends = False

    async def handle(self, request: Request, kind: str, rest: str) -> Answer:
        """A call, or the start of a container without one."""
        stub, path = self.meant(kind, rest)
        if request.method == "POST" and path == "warmup":
            return self._warm(stub)
        if kind == "endpoint" and (path or request.method not in ("GET", "POST")):
            raise Problem(404 if path else 405, "Not Found" if path else "Method Not Allowed")
        if kind in _REQUESTS:
            return await self._forward(request, stub, path)
        return self._put(request, stub)

    def forget(self) -> None:
        """Close the connections to containers, and keep none any more."""
        self._ends = True
        for connections in self._connections.values():
            connections.close()

    def watch(self, fleet: Fleet, container: Container) -> None:
        """Ask a started container for its health until it is well; from any thread."""

        def begin() -> None:
            task = asyncio.get_running_loop().create_task(self._await_health(fleet, container))
            self._watched.add(task)
            task.add_done_callback(self._watched.discard)

        self._site.waker.call(begin)

    def meant(self, kind: str, rest: str) -> tuple[Stub, str]:
        """Give the stub that a path means, and the part of the path that is its own."""
        first, _, tail = rest.partition("/")
        if first in ("id", "public"):
            stub_id, _, path = tail.partition("/")
            with self._site.change():
                stub = self._workspace.stubs.get(stub_id)
            if first == "public" and (stub is None or stub.config["authorized"]):
                raise Problem(400, "invalid stub id", "error")
            if stub is None or stub.kind != kind:
                raise Problem(400, "Invalid stub", "message")
            return stub, path
        second, _, path = tail.partition("/")
        version = second.removeprefix("v") if second[:1] == "v" and second[1:].isdigit() else ""
        if not version and second != "latest":
            path = tail
        with self._site.change():
            return self._workspace.named(kind, first, version), path

    def _warm(self, stub: Stub) -> Answer:
        with self._site.change():
            desk = self._workspace.desk(stub)
            desk.instance.wake()
            desk.fleet.scale_to(1)
            desk.dispatch()
        return Answer(200)

    # Tasks that containers fetch

    def _put(self, request: Request, stub: Stub) -> Answer:
        payload = read_payload(request.body, request.all_of_query)
        with self._site.change():
            desk = self._workspace.desk(stub)
            if stub.kind == "taskqueue":
                self._admit(desk)
            task = self._new_task(request, stub, payload)
            desk.submit(task)
            return Answer.of({"task_id": task.id})

    def _admit(self, desk: Desk) -> None:
        most = int(desk.instance.config["max_pending_tasks"])
        if len(desk.instance.tasks) >= most:
            raise Problem(429, f"exceeded max pending tasks: {most}", "error")

    def _new_task(self, request: Request, stub: Stub, payload: dict[str, object]) -> Task:
        task = self._workspace.new_task(stub, payload)
        fault = request.fault.kind if request.fault is not None else ""
        task.is_websocket = request.is_websocket
        task.hangs, task.crashes = fault == "timeout", fault == "crash"
        task.breaks_off = (
            request.operation == "stream" and self._site.faults.take("stream item") is not None
        )
        return task

    # Requests that a container answers

    async def _forward(self, request: Request, stub: Stub, path: str) -> Answer:
        payload: dict[str, object] = {}
        if stub.kind == "endpoint":
            payload = read_payload(request.body, request.all_of_query)
        desk, task = self.submit(request, stub, payload)
        container = await self.container(request, desk, task)
        headers = {"Access-Control-Expose-Headers": "X-Task-Id", "X-Task-Id": task.id}
        try:
            answer = await self._answered(request, desk, task, container, path)
        except Problem as problem:
            answer = Answer.of(problem.body("error"), problem.status)
        except BaseException:
            self.leave(desk, task, 499)
            raise
        answer.headers.update(headers)
        return answer

    def submit(self, request: Request, stub: Stub, payload: dict[str, object]) -> tuple[Desk, Task]:
        """Take a request.

        Raises:
            Problem: 503, no container of it can ever run; 429, too many are pending.
        """
        with self._site.change():
            desk = self._workspace.desk(stub)
            desk.instance.wake()
            if reason := desk.instance.unschedulable():
                raise Problem(503, reason, "error")
            self._admit(desk)
            task = self._new_task(request, stub, payload)
            desk.submit(task)
            return desk, task

    async def container(self, request: Request, desk: Desk, task: Task) -> Container:
        """Wait until a container has taken the request."""
        watch = asyncio.create_task(self._await_leaving(request, task))
        try:
            await wait_until(
                self._site,
                task.changed,
                lambda: task.container is not None or task.is_over or task.has_left,
                self._site.options.startup_s,
            )
        finally:
            watch.cancel()
        with self._site.change():
            if task.container is not None:
                if self._plays_runner and not task.is_over:
                    desk.started(task, task.container)
                return task.container
            if task.is_over:
                raise Problem(409, "Gateway rejected task start", "error")
            if task.has_left:
                desk.leave(task)
                raise Problem(499, "the client is gone", "error")
            desk.expire(task)
        raise Problem(504, "Timed out waiting for a backend container", "error")

    async def _await_leaving(self, request: Request, task: Task) -> None:
        while not (await request.receive())["type"].endswith(".disconnect"):
            pass
        with self._site.timeline.lock:
            task.has_left = True
            task.changed.fire()

    async def _answered(
        self, request: Request, desk: Desk, task: Task, container: Container, path: str
    ) -> Answer:
        """Give what the container answers, within the task's time."""
        if task.hangs or task.crashes or container.machine is None:
            await wait_until(
                self._site,
                task.changed,
                lambda: task.is_cut or container.is_stopped,
                2 * self._site.options.startup_s,
            )
            self.leave(desk, task, 502)
            raise Problem(502, "Backend route unavailable", "error")
        asking = asyncio.ensure_future(self._ask(request, task, container, path))
        cut = asyncio.ensure_future(self.ended(task, container))
        try:
            await asyncio.wait([asking, cut], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # the server ends
            asking.add_done_callback(_hang_up)
            raise
        finally:
            cut.cancel()
            asking.cancel()
        await asyncio.wait([asking])
        if asking.cancelled() or asking.exception() is not None:
            self.leave(desk, task, 502)
            raise Problem(502, "Backend route unavailable", "error")
        status, headers, talk = asking.result()
        return await self._passed_on(desk, task, status, headers, talk)

    async def _ask(self, request: Request, task: Task, container: Container, path: str) -> Answered:
        assert container.machine is not None  # noqa: S101 - it took the task
        port = container.machine.port
        fresh = Connections(port, self._ends)
        connections = self._connections.setdefault(container.id, fresh)
        given = [
            (name.encode(), value.encode("latin-1"))
            for name, value in request.headers.items()
            if name not in _OWN_HEADERS and name != "x-task-id"
        ]
        body, target = request.body, f"/{path}"
        if task.stub.kind == "endpoint":
            body = dumps(task.payload)
        elif request.raw_query:
            target += f"?{request.raw_query}"
        talk = await connections.open()
        headers = [*given, (b"X-TASK-ID", task.id.encode())]
        status, answered = await talk.ask(request.method, target, headers, body)
        return status, answered, talk

    async def ended(self, task: Task, container: Container) -> None:
        """Wait until a task is cut off, or its container is gone."""
        while not task.is_cut and not container.is_stopped:
            with self._site.timeline.lock:
                changed = task.changed.listen()
                if task.is_cut or container.is_stopped:
                    return
            await changed

    async def _passed_on(
        self, desk: Desk, task: Task, status: int, headers: list[tuple[bytes, bytes]], talk: Talk
    ) -> Answer:
        kept = tuple((name, value) for name, value in headers if name not in _GIVEN_HEADERS)
        is_whole = any(name == b"content-length" for name, _ in kept)
        pieces = self._pieces(desk, task, status, talk)
        if not is_whole:
            return Answer(status, pieces, content_type="", raw_headers=kept)
        try:
            body = b"".join([piece async for piece in pieces])
        except Unreachable:
            raise Problem(502, "Backend route unavailable", "error") from None
        kept = tuple(pair for pair in kept if pair[0] != b"content-length")
        return Answer(status, body, content_type="", raw_headers=kept)

    async def _pieces(
        self, desk: Desk, task: Task, status: int, talk: Talk
    ) -> AsyncIterator[bytes]:
        first, answer = True, b""
        try:
            async for piece in talk.read():
                yield piece
                if first and task.breaks_off and task.container is not None:
                    self._die(desk, task.container)
                first = False
                answer = piece if len(piece) < 1_000_000 else b""
            self.leave(desk, task, status, answer)
        except (GeneratorExit, asyncio.CancelledError):  # the client is gone
            talk.close()
            self.leave(desk, task, 499)
            raise
        except BaseException:
            self.leave(desk, task, 502)
            raise

    def _die(self, desk: Desk, container: Container) -> None:
        with self._site.change():
            desk.fleet.failed(container, 137)
        raise Unreachable("the container died")

    def leave(self, desk: Desk, task: Task, status: int, answer: bytes = b"") -> None:
        """Free the container, and end the task where no runner does."""
        with self._site.change():
            desk.released(task)
            is_reported = task.is_websocket or not self._plays_runner
            if task.is_over or is_reported or status == 502:
                if not task.is_over and status == 502:
                    desk.miss(task)
                elif not task.is_over:
                    desk.await_end(task)
                desk.go_on()
                return
            ended: Status = (
                "CANCELLED" if status == 499 else "ERROR" if status >= 500 else "COMPLETE"
            )
            desk.completed(task, ended, None, told=answer)

    async def _await_health(self, fleet: Fleet, container: Container) -> None:
        machine = container.machine
        if machine is None:
            return
        connections = Connections(machine.port)
        try:
            while not container.is_stopped:
                try:
                    talk = await connections.open()
                    status, _ = await talk.ask("GET", "/health", [], b"")
                    async for _ in talk.read():
                        pass
                except Unreachable:
                    status = 0
                if status == 200:
                    with self._site.change():
                        fleet.booted(container)
                    return
                await asyncio.sleep(_LOOK_S)
        finally:
            connections.close()


def _hang_up(asking: asyncio.Task[Answered]) -> None:
    """Close a connection whose answer nobody takes."""
    if not asking.cancelled() and asking.exception() is None:
        asking.result()[2].close()
