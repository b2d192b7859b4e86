"""Calls that are waited for: what goes in, what comes out, what goes wrong in the function."""

# ruff: noqa: S101 - assert is how a test speaks
from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from gpuhub.adapter import Feature
from gpuhub.errors import GpuHubError, PayloadTooLarge, RemoteError, SpecError
from gpuhub.testing.contract.bench import Bench
from gpuhub.testing.contract.gates import needs
from gpuhub.testing.contract.project import MODULE
from gpuhub.testing.functions import MARK as WEB_MARK

__all__ = ["Invocations"]

VALUES: dict[str, Any] = {
    "zero": 0,
    "empty text": "",
    "empty list": [],
    "false": False,
    "none": None,
    "empty object": {},
    "zero float": 0.0,
    "empty bytes": b"",
    "true": True,
    "text": "plain",
    "unicode": "Grüße, 你好, 🚀, \u2028, \x00",
    "number": -12345678901234,
    "float": 0.1,
    "bytes": bytes(range(256)),
    "nested": {"a": [1, {"b": [None, [], {}]}], "": "x"},
    "words of the wire": {"result": 1, "error": "no", "gpuhub_error": {"type": "no"}},
    "words of workers": {"refresh_worker": True, "error": None, "output": [], "id": "x"},
    "text that is JSON": '{"result": 0}',
}


class Invocations:
    """What ``invoke`` and ``remote`` promise."""

    def test_values_come_back_as_they_went(self, bench: Bench) -> None:
        """Values of every kind survive both ways, above all those that count as false."""
        endpoint = bench.deploy("echo")
        for name, value in VALUES.items():
            result = bench.invoke(endpoint, value)
            assert result == value, f"{name}: {value!r} came back as {result!r}"
            assert type(result) is type(value), f"{name} came back as {type(result).__name__}"

    def test_arguments_arrive_with_their_types(self, bench: Bench) -> None:
        """Annotations decide what the function gets."""
        endpoint = bench.deploy("typed")
        arrived = bench.invoke(endpoint, "ß", 0, b"\x00\xff", {"a": [1.5, 2.0], "b": []})
        assert arrived == {
            "text": ["str", "ß"],
            "number": ["int", 0],
            "data": ["bytes", "00ff"],
            "table": ["dict", {"a": [1.5, 2.0], "b": []}],
        }

    def test_arguments_by_name_and_by_default(self, bench: Bench) -> None:
        """Positions, names and defaults mean what they mean in a plain call."""
        endpoint = bench.deploy("combine")
        assert bench.invoke(endpoint, 1) == 11
        assert bench.invoke(endpoint, 1, 2) == 3
        assert bench.invoke(endpoint, right=0, left=0) == 0
        assert bench.invoke(endpoint, left=1, scale=3) == 33

    def test_wrong_arguments_are_not_sent(self, bench: Bench) -> None:
        """What the signature does not allow is refused here, in Python's own words."""
        endpoint = bench.deploy("combine")
        with bench.sends_nothing():
            with pytest.raises(TypeError, match="left"):
                bench.invoke(endpoint)
            with pytest.raises(TypeError, match="wrong"):
                bench.invoke(endpoint, 1, wrong=2)
            with pytest.raises(SpecError, match="left"):
                bench.invoke(endpoint, "one")

    def test_a_remote_function_is_called_like_its_endpoint(self, bench: Bench) -> None:
        """``function.remote`` is the endpoint's ``invoke``; the plain call stays local."""
        bench.deploy("combine")
        function = bench.function("combine")
        assert bench.drive.call(function, "remote", 1, scale=2) == 22
        with bench.sends_nothing():
            assert function(1, scale=2) == 22

    def test_the_largest_payload_arrives(self, bench: Bench) -> None:
        """Arguments up to the declared limit are carried, to the last byte."""
        limit = min(bench.adapter.info.limits.payload_bytes or 1_000_000, 32_000_000)
        endpoint = bench.deploy("size_of")
        length = limit - _overhead(bench)
        assert bench.invoke(endpoint, "x" * length) == length

    def test_a_larger_payload_is_refused_before_sending(self, bench: Bench) -> None:
        """One byte more than the limit is refused here, naming both sizes."""
        limits = bench.adapter.info.limits
        endpoint = bench.deploy("size_of")
        if limits.payload_bytes is None:
            assert bench.invoke(endpoint, "x" * 5_000_000) == 5_000_000
            return
        text = "x" * (limits.payload_bytes - _overhead(bench) + 1)
        with bench.sends_nothing(), pytest.raises(PayloadTooLarge) as caught:
            bench.invoke(endpoint, text)
        assert f"{limits.payload_bytes:,}" in caught.value.message
        assert f"{limits.payload_bytes + 1:,}" in caught.value.message

    def test_a_remote_error_is_told_in_full(self, bench: Bench) -> None:
        """The user's exception comes with type, message and the line that raised it."""
        endpoint = bench.deploy("fail")
        with pytest.raises(RemoteError) as caught:
            bench.invoke(endpoint, "out of luck: ü")
        error = caught.value
        assert error.error_type == f"{MODULE}.Unhappy"
        assert error.error_message == "out of luck: ü"
        assert error.provider == bench.provider
        trace = error.remote_traceback
        assert f"{MODULE}.py" in trace
        assert f"line {_raising_line(bench)}, in _raise" in trace
        assert "in fail" in trace
        assert trace.rstrip().endswith("out of luck: ü")
        assert trace.rstrip() in str(error)

    def test_a_call_that_raised_is_not_run_again(self, bench: Bench) -> None:
        """Gpuhub's default is no retry, whatever the provider's own is."""
        log = bench.log()
        endpoint = bench.deploy("fail_at_first")
        with pytest.raises(RemoteError, match="run 1 fails"):
            bench.invoke(endpoint, 1, str(log.path))
        bench.advance(600)
        assert log.lines() == ["run"]

    @needs(Feature.RETRIES)
    def test_a_call_that_raised_is_retried_if_asked(self, bench: Bench) -> None:
        """``retries`` more runs and no others; the last one's end is the call's."""
        endpoint = bench.deploy("fail_at_first", retries=2)
        assert bench.invoke(endpoint, 2, str(bench.log("enough").path)) == 3
        with pytest.raises(RemoteError, match="run 3 fails"):
            bench.invoke(endpoint, 9, str(bench.log("too-few").path))
        assert len(bench.log("too-few").lines()) == 3

    def test_a_large_result_comes_whole_or_not_at_all(self, bench: Bench) -> None:
        """Beyond the declared limit there is an error, never a part."""
        limit = bench.adapter.info.limits.result_bytes or 4_000_000
        endpoint = bench.deploy("repeated")
        small = min(limit, 32_000_000) - 1_000
        assert len(bench.invoke(endpoint, "x", small)) == small
        outcome = bench.attempt(lambda: bench.invoke(endpoint, "x", limit + 1))
        assert isinstance(outcome, GpuHubError) or outcome == "x" * (limit + 1)

    def test_an_error_does_not_harm_the_next_call(self, bench: Bench) -> None:
        """A worker whose function raised goes on working."""
        endpoint = bench.deploy("fail_if_odd")
        with pytest.raises(RemoteError):
            bench.invoke(endpoint, 1)
        assert bench.invoke(endpoint, 2) == 2

    def test_each_call_gets_its_own_result(self, bench: Bench) -> None:
        """Results do not leak from one call into another."""
        endpoint = bench.deploy("echo")
        assert [bench.invoke(endpoint, number) for number in range(10)] == list(range(10))

    @needs(Feature.KIND_ASYNC)
    def test_an_async_function_is_awaited(self, bench: Bench) -> None:
        """``async def`` gives its value, not a coroutine."""
        assert bench.invoke(bench.deploy("later"), "hi") == "HI"

    @needs(Feature.KIND_CLASS)
    def test_a_class_is_set_up_once_for_each_worker(self, bench: Bench) -> None:
        """``setup`` runs before the first call and never again on the same worker."""
        endpoint = bench.deploy("Counter")
        first = bench.invoke(endpoint, label="a")
        second = bench.invoke(endpoint)
        assert first == {"setups": 1, "calls": 1, "label": "a"}
        assert second == {"setups": 1, "calls": 2, "label": ""}

    @needs(Feature.ENV)
    def test_environment_variables_reach_the_function(self, bench: Bench) -> None:
        """To the letter, quotes and braces included."""
        value = "a = 'b' \"c\" {{d}} ${e} é"
        endpoint = bench.deploy("variable", env={"CONTRACT_PLACE": value})
        assert bench.invoke(endpoint, "CONTRACT_PLACE") == value

    @needs(Feature.KIND_WEB)
    def test_a_web_application_has_an_address(self, bench: Bench) -> None:
        """``Endpoint.url`` is where it is served, to those whom the provider lets through."""
        settings = {} if bench.lacks(Feature.PUBLIC) else {"public": True}
        endpoint = bench.deploy_web("site", **settings)
        assert endpoint.url is not None
        assert endpoint.url.startswith("http")
        if not endpoint.url.startswith("http://127.0.0.1"):
            return
        page = f"{endpoint.url.rstrip('/')}/hello"
        headers = endpoint.web_headers()
        if headers and not settings:
            with pytest.raises(HTTPError, match=r"40[13]"):
                _fetched(bench, page, {})
        assert _fetched(bench, page, {} if settings else headers) == f"{WEB_MARK} /hello"


def _fetched(bench: Bench, url: str, headers: Mapping[str, str]) -> str:
    """Ask the application, as a browser or an HTTP client would."""
    request = Request(url, headers=dict(headers))  # noqa: S310 - loopback
    try:
        with bench.drive.do(lambda: urlopen(request, timeout=20)) as answer:  # noqa: S310 - loopback
            return str(answer.read().decode())
    except HTTPError as error:
        error.close()
        raise


def _overhead(bench: Bench) -> int:
    """Bytes of a call of ``size_of`` beside its text."""
    return len(bench.function("size_of").codec.encode_call((), {"text": ""}))


def _raising_line(bench: Bench) -> int:
    source = (bench.project.root / f"{MODULE}.py").read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(source, 1) if "raise Unhappy" in line)
