"""The inference API: requests go to a replica of the deployment that their path names."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator.waiting import wait_until
from gpuhub_baseten.emulator.problems import Problem, missing, unavailable
from gpuhub_baseten.emulator.quotas import Gate
from gpuhub_baseten.emulator.state import Deployment, Model, Replica, Visit
from gpuhub_baseten.emulator.web import Answer, Request

if TYPE_CHECKING:
    import httpx

    from gpuhub_baseten.emulator.account import Account
    from gpuhub_baseten.emulator.site import Site

__all__ = ["Gateway", "path_in_container"]

_LOOK_S = 0.01
_KEEP_ALIVE_S = 2.0  # less than the 5 s after which the server closes an idle connection
_PREDICT = "/v1/models/model:predict"
_READY = "/v1/models/model"
_OWN_HEADERS = frozenset(
    ("connection", "content-length", "host", "keep-alive", "transfer-encoding", "upgrade")
)
_ENDING = ("BUILDING", "DEPLOYING")


class Gateway:
    """``https://model-{id}.api.baseten.co``, here ``/model-{id}``.

    Args:
        site: What all parts share.
        account: Whose models.
    """

    def __init__(self, site: Site, account: Account) -> None:
        self._site = site
        self._account = account
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: dict[str, httpx.AsyncClient] = {}
        limit = site.options.request_limit
        self._gate = Gate(limit, 1.0, site.now) if limit is not None else None

    # Faces

    async def predict(self, request: Request, model_id: str, target: str) -> Answer:
        """``POST …/predict``."""
        return await self._visit(request, model_id, target, None)

    async def sync(self, request: Request, model_id: str, target: str, route: str) -> Answer:
        """Any method on ``…/sync/{route}``."""
        return await self._visit(request, model_id, target, route)

    async def wake(self, _request: Request, model_id: str, target: str) -> Answer:
        """``POST …/wake``: a replica starts, if there is none."""
        with self._site.change():
            deployment = self.target(model_id, target)
            self._account.fleet.scale(deployment, at_least=1)
            self._site.note()
        return Answer.of({}, 202)

    # Inside, for asynchronous requests too

    def target(self, model_id: str, target: str) -> Deployment:
        """Give what a path names. Needs the lock.

        Raises:
            Problem: 404, or 503 for what does not answer yet.
        """
        model = self._account.models.get(model_id)
        if model is None:
            raise missing(f"model {model_id}")
        deployment = _named(model, target)
        if deployment is None or deployment.phase == "INACTIVE":
            raise missing(f"{target} of model {model_id}")
        if deployment.has_failed:
            raise unavailable(f"deployment {deployment.id} is {deployment.phase}")
        if deployment.phase in _ENDING:
            raise unavailable(f"deployment {deployment.id} is not ready yet")
        parks = self._site.options.development_parks or not deployment.is_development
        if not parks and not deployment.ready(self._site.now()):
            raise missing(f"{target} of model {model_id}")
        return deployment

    def new_visit(self, request: Request) -> Visit:
        """Make the record of a request."""
        visit = Visit(request.headers.get("x-baseten-request-id") or uuid.uuid4().hex)
        fault = request.fault
        visit.hangs = fault is not None and fault.kind == "timeout"
        visit.crashes = fault is not None and fault.kind == "crash"
        return visit

    def client(self) -> httpx.AsyncClient:
        """Give the client that talks to replicas; made on first use, on the server's loop."""
        if "" not in self._clients:
            import httpx

            limits = httpx.Limits(
                max_connections=None,
                max_keepalive_connections=256,
                keepalive_expiry=_KEEP_ALIVE_S,
            )
            self._clients[""] = httpx.AsyncClient(
                trust_env=False,
                verify=False,  # noqa: S501 - loopback; certificates would take 20 ms to load
                timeout=None,  # noqa: S113 - the gateway has its own limits
                limits=limits,
            )
        return self._clients[""]

    def watch(self, deployment: Deployment, replica: Replica) -> None:
        """Ask a started replica until it is ready; from any thread."""

        def begin() -> None:
            self.spawn(self._await_ready(deployment, replica))

        self._site.waker.call(begin)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the requests. Needs the server's loop."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End what is under way."""
        for task in list(self._tasks):
            task.cancel()
        for client in self._clients.values():
            await client.aclose()

    async def call(
        self,
        deployment: Deployment,
        visit: Visit,
        *,
        method: str,
        route: str | None,
        headers: Mapping[str, str],
        body: bytes,
    ) -> httpx.Response:
        """Send a request to the replica that a visit has; the answer's body is not read.

        Raises:
            Problem: 502, the replica is gone.
        """
        import httpx

        replica = visit.replica
        if replica is None or replica.machine is None:
            raise Problem(502, "The model's container stopped while it handled the request.")
        url = replica.machine.url + path_in_container(deployment, route)
        sent = self.client().build_request(
            method,
            url,
            content=body,
            headers={**_without(headers, "authorization"), "x-baseten-request-id": visit.id},
        )
        try:
            return await self.client().send(sent, stream=True)
        except httpx.TransportError as error:
            if visit.problem is not None:
                raise visit.problem from None
            words = f"The model's container does not answer: {type(error).__name__}"
            raise Problem(502, words) from None

    # One synchronous request

    async def _visit(
        self, request: Request, model_id: str, target: str, route: str | None
    ) -> Answer:
        most = self._site.options.predict_bytes
        if len(request.body) > most:
            raise Problem(413, f"the body has {len(request.body)} bytes; at most {most} are taken")
        if self._gate is not None:
            self._gate.count()
        visit = self.new_visit(request)
        leaving = asyncio.ensure_future(request.receive())
        handling = asyncio.ensure_future(
            self._handle(request, visit, model_id, target, route, leaving)
        )
        try:
            await asyncio.wait((leaving, handling), return_when=asyncio.FIRST_COMPLETED)
            if not handling.done():  # the client left
                handling.cancel()
                await asyncio.wait((handling,))
                return Answer.of({"error": "the client left"}, 499)
            answer = handling.result()
        finally:
            if not handling.done():
                handling.cancel()
        if isinstance(answer.body, bytes):
            leaving.cancel()
        answer.headers["X-Baseten-Request-Id"] = visit.id
        return answer

    async def _handle(
        self,
        request: Request,
        visit: Visit,
        model_id: str,
        target: str,
        route: str | None,
        leaving: asyncio.Future[Any],
    ) -> Answer:
        deadline = self._site.now() + self._site.options.parked_s
        with self._site.change():
            deployment = self.target(model_id, target)
            self._refuse_when_full(deployment)
            self._account.fleet.admit(deployment, visit)

        def leave() -> None:
            with self._site.change():
                self._account.fleet.leave(deployment, visit)

        try:
            await self._settled(visit, deadline)
            with self._site.timeline.lock:
                deployment.predictions += 1
            if visit.hangs or visit.crashes:
                return await self._unreal(visit, deadline, leave)
            played = (
                visit.replica.machine.played if visit.replica and visit.replica.machine else None
            )
            if played is not None:
                answer = await played(request.body)
                leave()
                return answer
            return await self._real(request, deployment, visit, route, deadline, leave, leaving)
        except BaseException:
            leave()
            raise

    async def _settled(self, visit: Visit, deadline: float) -> None:
        left = deadline - self._site.now()
        await wait_until(self._site, self._site.changed, lambda: visit.is_settled, left)
        if visit.problem is not None:
            raise visit.problem
        if visit.replica is None:
            raise Problem(504, "the request waited too long for a replica")

    async def _unreal(self, visit: Visit, deadline: float, leave: Callable[[], None]) -> Answer:
        """A request whose worker never answers: what the platform or gpuhub's worker says."""
        left = deadline - self._site.now()
        await wait_until(self._site, self._site.changed, lambda: visit.is_over, left)
        leave()
        if visit.problem is not None:
            raise visit.problem
        if visit.answer is None:
            raise Problem(504, "the model did not answer in time")
        return Answer(200, visit.answer)

    async def _real(
        self,
        request: Request,
        deployment: Deployment,
        visit: Visit,
        route: str | None,
        deadline: float,
        leave: Callable[[], None],
        leaving: asyncio.Future[Any],
    ) -> Answer:
        left = deadline - self._site.now()
        route_with_query = route
        if route is not None and request.raw_query:
            route_with_query = f"{route}?{request.raw_query}"
        try:
            async with asyncio.timeout(left):
                response = await self.call(
                    deployment,
                    visit,
                    method=request.method,
                    route=route_with_query,
                    headers=request.headers,
                    body=request.body,
                )
        except TimeoutError:
            raise Problem(504, "the model did not answer in time") from None
        headers = _without(dict(response.headers), "date", "server")
        kind = headers.pop("content-type", "application/octet-stream")
        if "content-length" in response.headers:
            body = await self._whole(response, visit, leave)
            return Answer(response.status_code, body, headers, kind)
        pieces = self._pieces(response, deployment, visit, leave, leaving)
        return Answer(response.status_code, pieces, headers, kind)

    async def _whole(
        self, response: httpx.Response, visit: Visit, leave: Callable[[], None]
    ) -> bytes:
        import httpx

        try:
            body = b"".join([piece async for piece in response.aiter_raw()])
        except httpx.TransportError:
            words = "The model's container stopped while it answered."
            raise visit.problem or Problem(502, words) from None
        finally:
            await response.aclose()
        leave()
        return body

    async def _pieces(
        self,
        response: httpx.Response,
        deployment: Deployment,
        visit: Visit,
        leave: Callable[[], None],
        leaving: asyncio.Future[Any],
    ) -> AsyncIterator[bytes]:
        """What the replica sends, as it comes; until the client leaves."""
        import httpx

        source = response.aiter_raw()
        fault = self._site.faults.take("stream")
        try:
            while True:
                following = asyncio.ensure_future(anext(source, None))
                await asyncio.wait((following, leaving), return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    following.cancel()
                    await asyncio.wait((following,))
                    return
                piece = following.result()
                if piece is None:
                    return
                yield piece
                if fault is not None and fault.kind == "crash" and visit.replica is not None:
                    with self._site.change():
                        self._account.fleet.crashed(deployment, visit.replica, 137)
                    raise ConnectionError("the worker died")
        except httpx.TransportError:
            raise ConnectionError("the worker died") from None
        finally:
            await response.aclose()
            leave()

    def _refuse_when_full(self, deployment: Deployment) -> None:
        """Needs the lock."""
        if deployment.backpressure != "REJECT_ON_FULL":
            return
        limits = deployment.autoscaling
        if deployment.in_flight >= limits["max_replica"] * limits["concurrency_target"]:
            raise Problem(429, "all replicas are full", retry_after=1.0)

    async def _await_ready(self, deployment: Deployment, replica: Replica) -> None:
        import httpx

        server = deployment.config.docker_server
        path = server.readiness_endpoint if server is not None else _READY
        machine = replica.machine
        while machine is not None and not replica.is_stopped:
            try:
                answer = await self.client().get(machine.url + path)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == 200:
                with self._site.change():
                    self._account.fleet.booted(deployment, replica)
                return
            await asyncio.sleep(_LOOK_S)


def path_in_container(deployment: Deployment, route: str | None) -> str:
    """Give the path that a request has at the server in the container.

    Args:
        deployment: Whose server.
        route: What follows ``sync/``; ``None`` for a prediction.
    """
    if route is not None:
        return f"/{route}"
    server = deployment.config.docker_server
    return server.predict_endpoint if server is not None else _PREDICT


def _named(model: Model, target: str) -> Deployment | None:
    kind, _, name = target.partition("/")
    if kind == "deployment":
        return model.deployments.get(name)
    if kind == "development":
        return model.development
    environment = model.environments.get("production" if kind == "production" else name)
    return environment.current if environment is not None else None


def _without(headers: Mapping[str, str], *more: str) -> dict[str, str]:
    """Drop what belongs to one connection, not to the message."""
    return {name: text for name, text in headers.items() if name not in (*_OWN_HEADERS, *more)}
