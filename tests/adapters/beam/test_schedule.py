"""Schedules: cron lines, and the one gRPC call that makes them."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from gpuhub import _drive
from gpuhub.errors import (
    AdapterNotInstalled,
    AuthFailed,
    BadRequest,
    ConfigError,
    MalformedResponse,
    ProviderUnavailable,
    SpecError,
)
from gpuhub.spec import Schedule
from gpuhub_beam import schedule
from gpuhub_beam.schedule import ROUTE, Scheduler, grpc_address, when
from gpuhub_beam.unary import call, fields_of, message
from tests.adapters.needed import ROOT, absent

PYTHON = ROOT / ".venv-beam" / "bin" / "python"
SERVER = """
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from beta9.clients.function import FunctionScheduleRequest, FunctionScheduleResponse


def handle(request, context):
    metadata = dict(context.invocation_metadata())
    if metadata.get("authorization") != "Bearer " + "t" * 200:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "no")
    words = f"{request.stub_id} {request.when} {request.deployment_id}"
    return FunctionScheduleResponse(ok=request.when != "bad", err_msg=words, scheduled_job_id="j")


class Face(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(
            handle,
            request_deserializer=FunctionScheduleRequest.FromString,
            response_serializer=bytes,
        )


server = grpc.server(ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((Face(),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
"""


class FakeIo:
    """Runs blocking calls at once."""

    async def run(self, function: Any, *args: Any) -> Any:
        return function(*args)


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (Schedule(cron="7 6 * * 1"), "7 6 * * 1"),
        (Schedule(every=60), "* * * * *"),
        (Schedule(every=900), "*/15 * * * *"),
        (Schedule(every=3600), "0 * * * *"),
        (Schedule(every=21_600), "0 */6 * * *"),
        (Schedule(every=86_400), "0 0 * * *"),
        (Schedule(every=604_800), "0 0 * * 0"),
    ],
)
def test_cron_lines(asked, line):
    """Periods that divide an hour or a day."""
    assert when(asked) == line


@pytest.mark.parametrize("seconds", [1, 90, 420, 5400, 7 * 3600, 2 * 86_400])
def test_periods_that_no_line_has(seconds):
    """Refused: another would run at other times."""
    with pytest.raises(SpecError, match="none runs every"):
        when(Schedule(every=seconds))


def test_where_a_gateway_speaks_grpc():
    """Hosted on a host of its own; else beside HTTP."""
    hosted = "https://app.beam.cloud"
    assert grpc_address(hosted, hosted) == "https://gateway.beam.cloud:443"
    assert grpc_address("http://mine:1994", hosted) == "http://mine:1993"


@given(st.lists(st.text(), max_size=3))
def test_messages_are_read_back(texts):
    """Numbered from one."""
    found = fields_of(message(texts))
    assert found == {number: text.encode() for number, text in enumerate(texts, 1)}


@pytest.mark.parametrize("body", [b"\x08", b"\x0a\x05abc", b"\x0d\0\0\0\0"])
def test_no_message(body):
    """Ends too early, or holds what no text or number is."""
    with pytest.raises(ValueError, match="message"):
        fields_of(body)


@pytest.fixture
def real_server() -> Iterator[str]:
    """A server of grpcio's own, with Beam's messages."""
    if not PYTHON.exists():
        absent(f"{PYTHON} is missing: the gRPC call was NOT tried on grpcio")
    with subprocess.Popen(
        [PYTHON, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


@pytest.mark.sdk
def test_the_call_on_a_real_server(real_server):
    """Taken by grpcio, a token of any length included; refusals are told apart."""
    scheduler = Scheduler(real_server, lambda: SecretStr("t" * 200))
    _drive.run(scheduler.follow(FakeIo(), "stub", "* * * * *", "dep"))  # type: ignore[arg-type]
    with pytest.raises(BadRequest, match="stub bad dep"):
        _drive.run(scheduler.follow(FakeIo(), "stub", "bad", "dep"))  # type: ignore[arg-type]
    with pytest.raises(AuthFailed, match="refuses the token") as caught:
        call(real_server, ROUTE, b"", "wrong-token")
    assert "wrong-token" not in str(caught.value)


def test_no_gateway():
    """Nothing listens, it hangs up, or the address is none."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def hang_up() -> None:
            listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(ProviderUnavailable, match="did not answer"):
            call(url, ROUTE, b"", "t")
        thread.join()
    with pytest.raises(ProviderUnavailable, match="did not answer"):
        call(url, ROUTE, b"", "t")
    with pytest.raises(ConfigError, match="grpc_url"):
        call("grpc://x", ROUTE, b"", "t")


def test_an_answer_that_is_none(monkeypatch):
    """A newer gateway's, perhaps."""
    monkeypatch.setattr(schedule, "call", lambda *_: b"\x0d\0\0\0\0")
    scheduler = Scheduler("http://x:1", lambda: SecretStr("t"))
    with pytest.raises(MalformedResponse):
        _drive.run(scheduler.follow(FakeIo(), "a", "b", "c"))  # type: ignore[arg-type]


def test_without_grpcio_nothing_is_begun(monkeypatch):
    """The extra is named, before a deploy has sent anything."""
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(AdapterNotInstalled, match=r"gpuhub-sdk\[beam\]"):
        Scheduler("http://x:1", lambda: SecretStr("t")).require()
