"""ASGI applications behind the worker: requests, streaming, lifespan, failures."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import threading
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from gpuhub.worker.handler import Handler
from gpuhub.worker.server import WorkerServer
from gpuhub.worker.target import Target

LIMIT_S = 30


@pytest.fixture
def serve():
    """Serve an application; give a connection to it."""
    with contextlib.ExitStack() as stack:

        def start(make: Any, **options: Any) -> http.client.HTTPConnection:
            server = WorkerServer(**options)
            server.start()
            server.load(Handler(make, Target("m", "app", "web")))
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT_S)
            stack.callback(server.stop)
            stack.callback(connection.close)
            return connection

        yield start


def get(connection: http.client.HTTPConnection, path: str, method: str = "GET", body: Any = None):
    """Give the answer and its body."""
    connection.request(method, path, body, {"X-Name": "Zoë".encode("latin-1")})
    response = connection.getresponse()
    return response, response.read()


async def describe(request: Request) -> JSONResponse:
    """Tell what arrived."""
    body = await request.body()
    return JSONResponse(
        {
            "method": request.method,
            "path": request.scope["path"],
            "query": dict(request.query_params),
            "name": request.headers["x-name"],
            "root": request.scope["root_path"],
            "raw": request.scope["raw_path"].decode(),
            "body": body.decode(),
            "client": request.client is not None,
        }
    )


def application() -> Starlette:
    """Make an application with one route for everything."""
    return Starlette(routes=[Route("/{rest:path}", describe, methods=["GET", "POST", "DELETE"])])


def test_requests_arrive_whole(serve):
    """Method, path, query, headers and body; every path but /health is the application's."""
    connection = serve(application)
    response, body = get(connection, "/a%20b/c?x=1&y=%C3%A9", "POST", b"content")
    assert response.status == 200
    assert json.loads(body) == {
        "method": "POST",
        "path": "/a b/c",
        "query": {"x": "1", "y": "é"},
        "name": "Zoë",
        "root": "",
        "raw": "/a%20b/c",
        "body": "content",
        "client": True,
    }
    assert json.loads(get(connection, "/invoke", "DELETE")[1])["path"] == "/invoke"
    assert json.loads(get(connection, "/health")[1])["status"] == "ready"


def test_paths_below_web_have_a_root_path(serve):
    """``/web`` is the worker's own prefix: links of the application keep it."""
    found = json.loads(get(serve(application), "/web/health")[1])
    assert found["root"] == "/web"
    assert found["path"] == "/web/health"


def test_answers_keep_status_headers_and_emptiness(serve):
    """Statuses without a body, repeated headers, a HEAD request."""

    async def answer(request: Request) -> Response:
        response = Response(status_code=204)
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    async def text(request: Request) -> Response:
        return PlainTextResponse("hello")

    connection = serve(lambda: Starlette(routes=[Route("/", answer), Route("/text", text)]))
    response, body = get(connection, "/")
    assert (response.status, body) == (204, b"")
    assert len(response.headers.get_all("set-cookie")) == 2
    response, body = get(connection, "/text", "HEAD")
    assert (response.getheader("content-length"), body) == ("5", b"")
    assert get(connection, "/text")[1] == b"hello"
    assert get(connection, "/nothing")[0].status == 404


def test_streams_arrive_as_they_go(serve):
    """The first chunk is there before the second is made, and slow readers slow the application."""
    go_on = asyncio.Event()
    loops = []

    async def stream(request: Request) -> Response:
        async def parts():
            loops.append(asyncio.get_running_loop())
            yield b"one\n"
            await go_on.wait()
            yield b"two\n"

        return StreamingResponse(parts())

    connection = serve(lambda: Starlette(routes=[Route("/", stream)]))
    connection.request("GET", "/")
    response = connection.getresponse()
    assert response.readline() == b"one\n"
    loops[0].call_soon_threadsafe(go_on.set)
    assert response.read() == b"two\n"


def test_a_caller_who_hangs_up_is_told_to_the_application(serve):
    """The application sees a disconnect, and the next request is served."""
    told = threading.Event()

    async def app(scope, receive, send):
        if scope["type"] != "http" or scope["path"] != "/endless":
            await PlainTextResponse("ok")(scope, receive, send)
            return
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not told.is_set():
            await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
            with contextlib.suppress(TimeoutError):
                message = await asyncio.wait_for(receive(), 0.001)
                assert message == {"type": "http.disconnect"}
                told.set()

    connection = serve(lambda: app)
    connection.request("GET", "/endless")
    connection.getresponse().read(10)
    connection.close()
    assert told.wait(LIMIT_S)
    assert get(connection, "/")[1] == b"ok"


def test_background_work_does_not_hold_the_answer(serve):
    """The answer is complete while the application's background task still runs."""
    go_on, done = asyncio.Event(), threading.Event()
    loops = []

    async def work() -> None:
        loops.append(asyncio.get_running_loop())
        await go_on.wait()
        done.set()

    async def answer(request: Request) -> Response:
        return PlainTextResponse("ok", background=BackgroundTask(work))

    connection = serve(lambda: Starlette(routes=[Route("/", answer)]))
    assert get(connection, "/")[1] == b"ok"
    assert get(connection, "/")[1] == b"ok"
    assert not done.is_set()
    loops[0].call_soon_threadsafe(go_on.set)
    assert done.wait(LIMIT_S)


def test_lifespan_runs_around_everything(serve):
    """Start before the first request, end when the worker stops; its state reaches requests."""
    events = []

    @contextlib.asynccontextmanager
    async def lifespan(app):
        events.append("start")
        yield {"model": "loaded"}
        events.append("end")

    async def answer(request: Request) -> Response:
        events.append("request")
        return PlainTextResponse(request.state.model)

    server = WorkerServer()
    server.start()
    make = lambda: Starlette(routes=[Route("/", answer)], lifespan=lifespan)  # noqa: E731
    server.load(Handler(make, Target("m", "app", "web")))
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT_S)
    assert get(connection, "/")[1] == b"loaded"
    connection.close()
    server.stop()
    assert events == ["start", "request", "end"]


def test_a_start_that_fails_is_reported(serve):
    """Health says failed; every request is answered with the reason."""

    @contextlib.asynccontextmanager
    async def lifespan(app):
        raise RuntimeError("no weights")
        yield

    connection = serve(lambda: Starlette(lifespan=lifespan))
    response, body = get(connection, "/health")
    assert (response.status, json.loads(body)["status"]) == (503, "failed")
    response, body = get(connection, "/")
    assert response.status == 500
    assert "no weights" in json.loads(body)["gpuhub_error"]["message"]


@pytest.mark.parametrize("make", [lambda: None, lambda: 1 / 0], ids=["nothing", "raises"])
def test_a_function_that_makes_no_application_is_reported(serve, make):
    """Neither an exception nor a wrong object ends the worker."""
    assert get(serve(make), "/")[0].status == 500


def test_async_functions_may_make_the_application(serve):
    """``async def app()`` works as well."""

    async def make():
        await asyncio.sleep(0)
        return application()

    assert get(serve(make), "/")[0].status == 200


async def raises_at_once(scope, receive, send):
    """Fail before the answer."""
    raise ValueError("bang")


async def forgets_to_answer(scope, receive, send):
    """Never answer."""
    await receive()


async def raises_midway(scope, receive, send):
    """Fail in the middle of the answer."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
    raise ValueError("bang")


@pytest.mark.parametrize("app", [raises_at_once, forgets_to_answer])
def test_an_application_that_fails_is_a_500(serve, app, capfd):
    """Without details for the caller; the log has the traceback."""
    response, body = get(serve(lambda: app), "/")
    assert response.status == 500
    assert b"bang" not in body
    if app is raises_at_once:
        assert "ValueError: bang" in capfd.readouterr().err


def test_an_answer_that_breaks_off_is_no_whole_answer(serve, capfd):
    """What began as a 200 and failed must not look complete."""
    connection = serve(lambda: raises_midway)
    connection.request("GET", "/")
    with pytest.raises(http.client.IncompleteRead):
        connection.getresponse().read()
    assert "ValueError: bang" in capfd.readouterr().err


def test_large_requests_are_refused(serve):
    """The limit is the worker's, before the application sees anything."""
    assert get(serve(application, max_body=10), "/", "POST", b"x" * 11)[0].status == 413
