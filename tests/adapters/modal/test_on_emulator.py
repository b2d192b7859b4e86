"""What the contract suite does not ask: Modal's own ways, over the emulator. Needs the SDK."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import gpuhub
from gpuhub.adapter import Phase
from gpuhub.errors import (
    AuthFailed,
    BadRequest,
    CallCancelled,
    CallFailed,
    CallTimedOut,
    DeployFailed,
    ProviderUnavailable,
    RemoteError,
    UnsupportedSetting,
)
from gpuhub.workspace import Workspace
from gpuhub_modal.emulator import EmulatorOptions, ModalEmulator
from tests.adapters.loading import imported
from tests.adapters.waiting import until

modal = pytest.importorskip("modal", reason="needs the SDK: run in .venv-modal")
pytestmark = pytest.mark.sdk

PROJECT = Path(__file__).parent / "on_emulator"
TOKEN = ("ak-mine", "as-mine")


@pytest.fixture
def make_emulator() -> Iterator[Callable[..., ModalEmulator]]:
    """Start emulators of Modal; arguments are their options."""
    started: list[ModalEmulator] = []

    def make(**options: Any) -> ModalEmulator:
        started.append(ModalEmulator(EmulatorOptions(**options)))
        started[-1].start()
        return started[-1]

    yield make
    for emulator in started:
        emulator.stop()


@pytest.fixture
def open_workspace(tmp_path: Path) -> Iterator[Callable[..., Workspace]]:
    """Open workspaces on an emulator."""
    opened: list[Workspace] = []

    def make(emulator: ModalEmulator, token: tuple[str, str] = TOKEN, **options: Any) -> Workspace:
        state = tmp_path / f"state-{len(opened)}"
        environ = {"MODAL_TOKEN_ID": token[0], "MODAL_TOKEN_SECRET": token[1]}
        workspace = Workspace(
            "modal",
            app="mine",
            root=PROJECT,
            provider_options={"server_url": emulator.url, **options},
            environ={**environ, "GPUHUB_STATE_DIR": str(state)},
            clock=emulator.clock,
        )
        opened.append(workspace)
        return workspace

    yield make
    for workspace in opened:
        workspace.close()


@pytest.fixture(scope="module")
def shop() -> Iterator[ModuleType]:
    """Functions that are deployed."""
    with imported(PROJECT, "modal_corner") as module:
        yield module


def sent(emulator: ModalEmulator, name: str) -> list[Any]:
    """The messages of one RPC, as JSON."""
    return [each.json for each in emulator.requests if each.path == f"/{name}"]


@pytest.fixture
def plain_client(make_emulator: Callable[..., ModalEmulator]) -> Iterator[Any]:
    """A client of the SDK's alone, on the emulator that it gives too."""
    from gpuhub_modal.loop import waited
    from gpuhub_modal.sdk import close_client, connect, handle_of, make_client

    emulator = make_emulator()
    client = make_client(emulator.url, TOKEN)
    waited(connect(client))
    yield emulator, handle_of(client)
    waited(close_client(client))


def test_two_workspaces_share_nothing(make_emulator, open_workspace, shop):
    """Two servers and two tokens in one process; neither is asked with the other's."""
    first = make_emulator(tokens={"ak-1": "as-1"})
    second = make_emulator(tokens={"ak-2": "as-2"})
    workspaces = [
        open_workspace(first, ("ak-1", "as-1")),
        open_workspace(second, ("ak-2", "as-2")),
    ]
    function = gpuhub.function(name="echo")(shop.echo)
    endpoints = [function.in_workspace(each).deploy() for each in workspaces]
    for number, endpoint in enumerate(endpoints):
        assert endpoint.invoke(number) == number
    assert len(sent(first, "FunctionMap")) == len(sent(second, "FunctionMap")) == 1
    with pytest.raises(AuthFailed):
        function.in_workspace(open_workspace(first, ("ak-2", "as-2"))).deploy()


def test_a_server_that_is_not_there(make_emulator, open_workspace, shop, monkeypatch):
    """It is said after some seconds, where the SDK would try for a minute."""
    monkeypatch.setattr("gpuhub_modal.session._CONNECT_S", 0.3)
    workspace = open_workspace(emulator := make_emulator())
    emulator.stop()
    function = gpuhub.function(name="echo")(shop.echo).in_workspace(workspace)
    with pytest.raises(ProviderUnavailable, match="no connection to http://127") as caught:
        function.deploy()
    assert caught.value.accepted is False


def test_retries_are_modals_own(make_emulator, open_workspace, shop, tmp_path):
    """A run that raised is run again; in the end the user's exception is there in full."""
    workspace = open_workspace(make_emulator())
    flaky = gpuhub.function(name="flaky", retries=2)(shop.flaky).in_workspace(workspace)
    endpoint = flaky.deploy()
    assert endpoint.invoke(str(tmp_path / "runs"), 2) == 3
    with pytest.raises(RemoteError, match="not yet: 3") as caught:
        endpoint.invoke(str(tmp_path / "others"), 9)
    assert caught.value.error_type == "ValueError"
    assert "in flaky" in caught.value.remote_traceback


def test_batches_are_modals_own(make_emulator, open_workspace, shop):
    """Calls that come together are one run."""
    workspace = open_workspace(make_emulator())
    batching = gpuhub.Batching(max_size=4, wait=0.5)
    sizes = gpuhub.function(name="sizes", batching=batching)(shop.sizes).in_workspace(workspace)
    calls = [sizes.deploy().spawn(number) for number in range(4)]
    assert [call.result(timeout=600) for call in calls] == [4, 4, 4, 4]


def test_a_web_function_needs_a_proxy_token(make_emulator, open_workspace, shop):
    """Other than the API's; the error of Modal's proxy is the visitor's."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    emulator = make_emulator(proxy_tokens={"wk-1": "ws-1"})
    workspace = open_workspace(emulator)
    endpoint = gpuhub.web(name="site")(shop.site).in_workspace(workspace).deploy()
    assert endpoint.url is not None
    with pytest.raises(HTTPError, match="401"):
        urlopen(endpoint.url)  # noqa: S310 - loopback
    headers = {"Modal-Key": "wk-1", "Modal-Secret": "ws-1"}
    request = Request(f"{endpoint.url}/hello", headers=headers)  # noqa: S310 - loopback
    with urlopen(request) as answer:  # noqa: S310 - loopback
        assert answer.read() == b"/hello"
    with pytest.raises(UnsupportedSetting, match="web function"):
        endpoint.invoke()


def test_a_time_limit_is_modals(make_emulator, open_workspace, shop):
    """It ends the run, in virtual time here."""
    emulator = make_emulator()
    emulator.fail("timeout", on="submit")
    workspace = open_workspace(emulator)
    endpoint = gpuhub.function(name="echo", timeout=30)(shop.echo).in_workspace(workspace).deploy()
    with pytest.raises(CallTimedOut, match="longer than its timeout"):
        endpoint.invoke(1)


def test_results_are_kept_for_seven_days(make_emulator, open_workspace, shop):
    """Then they have expired."""
    emulator = make_emulator()
    workspace = open_workspace(emulator)
    endpoint = gpuhub.function(name="echo")(shop.echo).in_workspace(workspace).deploy()
    call = endpoint.spawn("kept")
    assert call.result(timeout=60) == "kept"
    emulator.clock.advance(6.9 * 86_400)
    assert call.state().phase is Phase.SUCCEEDED
    emulator.clock.advance(86_400)
    assert call.state().phase is Phase.EXPIRED


def test_a_build_is_told_while_it_runs(make_emulator, open_workspace, shop, caplog, capfd):
    """To the logger; the SDK prints nothing."""
    emulator = make_emulator()
    image = gpuhub.Image(python="3.11", pip=["tinydb==4.8.2"])
    function = gpuhub.function(name="echo", image=image)(shop.echo)
    emulator.fail("crash", on="deploy")
    with caplog.at_level(logging.INFO, "gpuhub"), pytest.raises(DeployFailed) as caught:
        function.in_workspace(open_workspace(emulator)).deploy()
    assert caught.value.log_tail
    told = [each.getMessage() for each in caplog.records if "build:" in each.getMessage()]
    assert [each.partition("build: ")[2] for each in told][-1] == caught.value.log_tail[-1]
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_an_app_of_somebody_else_is_left_alone(plain_client, open_workspace, shop):
    """A deploy would drop its functions."""
    emulator, client = plain_client
    app = modal.App("mine-echo", include_source=False)
    app.function(name="theirs", serialized=True)(lambda: 1)
    app.deploy(client=client)
    function = gpuhub.function(name="echo")(shop.echo).in_workspace(open_workspace(emulator))
    with pytest.raises(BadRequest, match="theirs"):
        function.deploy()
    assert modal.Function.from_name("mine-echo", "theirs", client=client).remote() == 1


def test_functions_that_gpuhub_did_not_make(plain_client, open_workspace):
    """By name: a function, a generator, an error, and a result that is no JSON."""
    emulator, client = plain_client
    app = modal.App("theirs", include_source=False)

    def double(x: int) -> dict[str, int]:
        if x < 0:
            raise ValueError("negative")
        return {"x": 2 * x}

    def count(n: int) -> Iterator[int]:
        yield from range(n)

    for each in (double, count):
        app.function(name=each.__name__, serialized=True)(each)
    app.function(name="strange", serialized=True)(lambda: {1, 2})
    app.deploy(client=client)
    workspace = open_workspace(emulator)

    def connected(name: str) -> Any:
        return gpuhub.Endpoint.connect(f"modal://theirs/{name}", workspace=workspace)

    assert connected("double").invoke(x=21) == {"x": 42}
    assert list(connected("count").stream(n=3)) == [0, 1, 2]
    with pytest.raises(RemoteError, match="negative") as caught:
        connected("double").invoke(x=-1)
    assert caught.value.error_type == "ValueError"
    with pytest.raises(CallFailed, match="cannot be read as JSON: it is set"):
        connected("strange").invoke()


def test_a_plain_client_calls_what_gpuhub_deployed(plain_client, open_workspace, shop):
    """By name, with arguments by name, as the documentation says."""
    emulator, client = plain_client
    gpuhub.function(name="echo")(shop.echo).in_workspace(open_workspace(emulator)).deploy()
    function = modal.Function.from_name("mine-echo", "echo", client=client)
    assert function.remote(value="hi") == {"result": "hi"}


def test_what_modal_learns_about_git(make_emulator, open_workspace, shop, tmp_path, monkeypatch):
    """As the documentation says: with a repository here, and how to prevent it."""
    workspace = open_workspace(emulator := make_emulator())
    identity = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.com"))
    }
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "begin"]):
        environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull}
        subprocess.run(["git", *command], cwd=tmp_path, env=environment, check=True)
    monkeypatch.chdir(tmp_path)
    gpuhub.function(name="echo")(shop.echo).in_workspace(workspace).deploy()
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    gpuhub.function(name="flaky")(shop.flaky).in_workspace(workspace).deploy()
    first, second = sent(emulator, "AppPublish")
    assert "ada@example.com" in str(first)
    assert "ada@example.com" not in str(second)


def test_a_call_is_two_messages(make_emulator, open_workspace, shop):
    """One that sends it, one that waits: no look-up, not even in another process."""
    emulator = make_emulator()
    function = gpuhub.function(name="echo")(shop.echo)
    endpoint = function.in_workspace(open_workspace(emulator)).deploy()
    for _ in range(2):
        mark = len(list(emulator.requests))
        assert endpoint.invoke("hi") == "hi"
        asked = [each.path for each in list(emulator.requests)[mark:]]
        assert asked[0] == "/FunctionMap"
        assert set(asked[1:]) == {"/FunctionGetOutputs"}


@pytest.mark.parametrize("name", ["slow", "slow_later"])
def test_cancelling_a_run(make_emulator, open_workspace, shop, tmp_path, name):
    """Modal interrupts the user's code; the container takes the next call."""
    emulator = make_emulator()
    scaling = gpuhub.Scaling(max_workers=1)
    function = gpuhub.function(name="slow", scaling=scaling)(getattr(shop, name))
    endpoint = function.in_workspace(open_workspace(emulator)).deploy()
    began = tmp_path / "began"
    call = endpoint.spawn(str(began), 30)
    emulator.clock.advance(10)  # a cold start
    until(lambda: call.state() and began.exists())
    assert call.cancel() in ("confirmed_terminal", "provider_ack")
    with pytest.raises(CallCancelled):
        call.result(timeout=600)
    assert endpoint.invoke(str(began), 0) == "slept"


def test_deploying_without_a_change_sends_nothing(make_emulator, open_workspace, shop):
    """Not even on another machine: the app's tags say what is deployed."""
    emulator = make_emulator()
    function = gpuhub.function(name="echo", env={"A": "1"})(shop.echo)
    function.in_workspace(open_workspace(emulator)).deploy()
    function.in_workspace(open_workspace(emulator)).deploy()
    assert len(sent(emulator, "AppPublish")) == 1


def test_scaling_survives_no_deploy(make_emulator, open_workspace, shop):
    """The declared limits are sent again, though nothing else changed."""
    emulator = make_emulator()
    workspace = open_workspace(emulator)
    scaling = gpuhub.Scaling(max_workers=2)
    function = gpuhub.function(name="echo", scaling=scaling)(shop.echo).in_workspace(workspace)
    endpoint = function.deploy()
    endpoint.scale(max_workers=5)
    assert endpoint.status().scaling["max_workers"] == 5
    assert function.deploy().status().scaling["max_workers"] == 2


def test_connections_are_closed_where_closing_is_interrupted(make_emulator):
    """The SDK leaves them open then."""
    from gpuhub_modal.loop import waited
    from gpuhub_modal.sdk import close_client, connect, make_client

    async def use() -> list[Any]:
        client = make_client(make_emulator().url, TOKEN)
        await connect(client)
        channels = [each.result() for each in client._connection_manager._channels.values()]
        closing = asyncio.ensure_future(close_client(client))
        await asyncio.sleep(0)
        closing.cancel()
        with suppress(asyncio.CancelledError):
            await closing
        return channels

    channels = waited(use())
    assert channels
    assert [each for each in channels if each._protocol is not None] == []


def test_a_session_that_is_closed_while_it_connects(make_emulator, open_workspace, monkeypatch):
    """Leaves no connection behind, and says why there is none."""
    module: Any = importlib.import_module("gpuhub_modal.session")
    emulator = make_emulator()
    workspace = open_workspace(emulator)
    session = workspace.session().adapter._session
    opened: list[Any] = []
    connect = module.connect

    async def slow(client: Any) -> None:
        await connect(client)
        opened.extend(client._connection_manager._channels.values())
        session.close()

    monkeypatch.setattr(module, "connect", slow)
    with pytest.raises(ProviderUnavailable, match="closed meanwhile"):
        session.app("any")
    assert [each.result()._protocol for each in opened] == [None]
    with pytest.raises(ProviderUnavailable, match="closed meanwhile"):
        session.app("any")
    assert len(opened) == 1, "connected once more, for nothing"
