"""What Modal documents that it refuses, the emulator refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gpuhub_modal.emulator import EmulatorOptions
from tests.adapters.modal.emulator.conftest import TOKEN, Laboratory


def nothing() -> Callable[[], None]:
    """Give a closure that does nothing."""

    def it() -> None:
        pass

    return it


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"gpu": "A1000"}, "unknown GPU type 'A1000'; did you mean A100"),
        ({"gpu": "H100:9"}, "between 1 and 8"),
        ({"gpu": "H100:0"}, "between 1 and 8"),
        ({"gpu": "A10:5"}, "between 1 and 4"),
        ({"gpu": ["H100", "Z9"]}, "unknown GPU type 'Z9'"),
        ({"timeout": 86_401}, "timeout_secs must be between 1 and 86400"),
        ({"startup_timeout": 90_000}, "startup_timeout_secs"),
        ({"max_containers": 0}, "max_containers must be a positive integer"),
        ({"cloud": "acme"}, "unknown cloud 'acme'"),
        ({"region": "moon-1"}, "unknown region 'moon-1'"),
        ({"ephemeral_disk": 4_000_000}, "ephemeral_disk"),
    ],
)
def test_a_setting_out_of_range(lab: Laboratory, setting: dict[str, Any], words: str) -> None:
    """With the name, the value and the rule; nothing is deployed."""
    with pytest.raises(lab.modal.exception.InvalidError, match=words):
        lab.deploy(nothing(), **setting)
    with pytest.raises(lab.modal.exception.NotFoundError):
        lab.handle()


@pytest.mark.parametrize(
    "accepted",
    [
        {"gpu": "A10:4"},
        {"gpu": "H100!:8"},
        {"gpu": ["B200+", "any"]},
        {"gpu": "RTX-PRO-6000"},
        {"timeout": 86_400, "startup_timeout": 1},
        {"region": ["us-east", "eu"], "cloud": "aws"},
        {"scaledown_window": 3600, "min_containers": 0, "max_containers": 1},
    ],
)
def test_a_setting_at_the_edge(lab: Laboratory, accepted: dict[str, Any]) -> None:
    """What is documented to work is taken."""
    lab.deploy(nothing(), **accepted)


def test_a_wrong_schedule(lab: Laboratory) -> None:
    """A cron expression that nobody understands."""
    with pytest.raises(lab.modal.exception.InvalidError, match="61"):
        lab.deploy(nothing(), schedule=lab.modal.Cron("61 * * * *"))


@pytest.mark.parametrize(
    "scale", [{"min_containers": 3, "max_containers": 2}, {"max_containers": 1}]
)
def test_limits_that_do_not_agree(lab: Laboratory, scale: dict[str, int]) -> None:
    """Of the autoscaler, also with what was set before."""
    handle = lab.deploy(nothing(), min_containers=2, max_containers=4)
    with pytest.raises(lab.modal.exception.InvalidError, match="is above max_containers"):
        handle.autoscaler.update(**scale)


class TestTokens:
    """Who may ask."""

    @pytest.fixture
    def options(self) -> EmulatorOptions:
        """One token is known."""
        return EmulatorOptions(tokens=dict([TOKEN]))

    def test_a_known_one(self, lab: Laboratory) -> None:
        """Is let in."""
        lab.client.hello()

    @pytest.mark.parametrize("token", [("ak-other", "as-made-up"), ("ak-made-up", "as-other")])
    def test_a_wrong_one(self, lab: Laboratory, token: tuple[str, str]) -> None:
        """Is refused, and no secret is in the words."""
        client = lab.client_of(*token)
        with pytest.raises(lab.modal.exception.AuthError, match="invalid") as caught:
            client.hello()
        assert token[1] not in str(caught.value)
        lab.close_client(client)

    def test_none(self, lab: Laboratory) -> None:
        """Modal's client for signing up sends none."""
        from modal._utils.async_utils import synchronizer

        anonymous = synchronizer._translate_in(lab.modal.Client).anonymous

        async def ask() -> None:
            async with anonymous(lab.emulator.url) as client:
                await client.hello()

        with pytest.raises(lab.modal.exception.AuthError, match="missing"):
            synchronizer.create_blocking(ask)()

    def test_none_of_them_is_recorded(self, lab: Laboratory) -> None:
        """Headers are masked."""
        lab.client.hello()
        (asked,) = lab.emulator.requests.of("list")
        assert asked.headers["x-modal-token-secret"] == "****"
        assert "x-modal-client-version" in asked.headers


def test_what_does_not_exist(lab: Laboratory) -> None:
    """Apps, functions, calls, secrets, volumes."""
    modal, client = lab.modal, lab.client
    lab.deploy(nothing())
    attempts: list[Callable[[], Any]] = [
        lambda: modal.App.lookup("no-such", client=client),
        lambda: modal.Function.from_name("lab", "no-such", client=client).hydrate(),
        lambda: modal.Function.from_name("lab", "it", version=7, client=client).hydrate(),
        lambda: modal.FunctionCall.from_id("fc-none", client=client).get(timeout=0),
        lambda: modal.Secret.from_name("no-such", client=client).hydrate(client=client),
        lambda: modal.Volume.from_name("no-such", client=client).hydrate(client=client),
        lambda: modal.Environment.from_name("no-such", client=client).hydrate(client=client),
    ]
    for attempt in attempts:
        with pytest.raises(modal.exception.NotFoundError):
            attempt()


def test_a_secret_without_the_key_that_is_needed(lab: Laboratory) -> None:
    """Named when it is looked up, before anything runs."""
    lab.emulator.set_secret("mine", {"THERE": "value"})
    secret = lab.modal.Secret.from_name("mine", required_keys=["ABSENT"], client=lab.client)
    with pytest.raises(lab.modal.exception.NotFoundError, match="ABSENT"):
        secret.hydrate(client=lab.client)


def test_what_only_containers_may_ask(lab: Laboratory) -> None:
    """A client's token does not make a container."""
    stub = Stub(lab)
    request = stub.pb.FunctionGetInputsRequest(function_id="fu-1")
    with pytest.raises(lab.modal.exception.PermissionDeniedError):
        stub.ask("FunctionGetInputs", request)


def test_an_input_that_is_too_large_for_the_request(lab: Laboratory) -> None:
    """The client uploads such as a blob; who does not is refused."""
    handle = lab.deploy(nothing())
    stub = Stub(lab)
    pb = stub.pb
    sent = pb.FunctionInput(args=b"x" * 9_000, data_format=pb.DATA_FORMAT_PICKLE)
    request = pb.FunctionMapRequest(
        function_id=handle.object_id,
        function_call_invocation_type=pb.FUNCTION_CALL_INVOCATION_TYPE_ASYNC,
        pipelined_inputs=[pb.FunctionPutInputsItem(input=sent)],
    )
    with pytest.raises(lab.modal.exception.InvalidError, match="8192"):
        stub.ask("FunctionMap", request)


class TestQueue:
    """How many inputs may wait."""

    @pytest.fixture
    def options(self) -> EmulatorOptions:
        """Fewer than Modal documents, so that the test is short."""
        return EmulatorOptions(async_queue=2, cold_start_s=1_000)

    def test_a_full_queue(self, lab: Laboratory) -> None:
        """Says so, and when to come again."""
        handle = lab.deploy(nothing())
        calls = [handle.spawn(), handle.spawn()]
        with pytest.raises(lab.modal.exception.ResourceExhaustedError, match="limit is 2"):
            handle.spawn()
        for call in calls:
            call.cancel()


class Stub:
    """Sends single requests, as Modal's own code does underneath."""

    def __init__(self, lab: Laboratory) -> None:
        from modal._utils.async_utils import synchronizer

        self.pb: Any = pytest.importorskip("modal_proto.api_pb2")
        self._lab = lab
        self._synchronizer = synchronizer
        self._client = synchronizer._translate_in(lab.client)

    def ask(self, name: str, request: Any) -> Any:
        """Send one request, once; give its answer."""

        async def send() -> Any:
            return await getattr(self._client._stub, name)(request, retry=None, timeout=30)

        return self._synchronizer.create_blocking(send)()
