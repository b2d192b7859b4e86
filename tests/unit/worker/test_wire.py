"""Envelopes: standard JSON, error reports that anybody can read."""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any

import pytest

from gpuhub.worker import wire


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def raised(error: BaseException) -> BaseException:
    """Give an exception that has been through a frame of ours."""
    try:
        raise error  # noqa: TRY301
    except BaseException as caught:  # noqa: BLE001
        return caught


def report(error: BaseException) -> Any:
    """Give the inner part of the error envelope."""
    return wire.error_envelope(raised(error))["gpuhub_error"]


def test_names_of_builtins_are_bare_and_others_qualified():
    """``ValueError`` and ``module.Class``."""
    assert report(ValueError("x"))["type"] == "ValueError"
    assert report(json.JSONDecodeError("x", "", 0))["type"] == "json.decoder.JSONDecodeError"
    assert report(UnprintableError())["type"] == f"{__name__}.UnprintableError"


def test_the_traceback_starts_with_the_users_frames():
    """Type, message and the frames from the user's on."""
    found = report(ValueError("bang"))
    lines = str(found["traceback"]).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "test_wire.py" in lines[1]
    assert lines[-1] == "ValueError: bang"
    assert found["wire"] == 1


def test_causes_are_told():
    """The chain of exceptions is part of the traceback."""
    try:
        try:
            raise KeyError("inner")  # noqa: TRY301
        except KeyError as error:
            raise ValueError("outer") from error
    except ValueError as error:
        text = wire.error_envelope(error)["gpuhub_error"]["traceback"]
    assert "KeyError: 'inner'" in text
    assert "direct cause" in text


def test_unprintable_exceptions_are_reported():
    """An exception whose ``__str__`` fails is still reported."""
    found = report(UnprintableError())
    assert found["message"] == "<unprintable UnprintableError>"
    assert "Unprintable" in str(found["traceback"])


def test_texts_are_safe_json():
    """Half surrogates are escaped: not every JSON reader takes them."""
    found = report(ValueError("\udc80"))
    assert found["message"] == "\\udc80"
    wire.dumps(found).decode("utf-8")


def test_long_texts_lose_their_middle():
    """Messages and tracebacks are capped; beginning and end stay."""
    found = str(report(ValueError("a" + "x" * 200_000 + "z"))["message"])
    assert len(found) < 65_000
    assert found.startswith("ax")
    assert found.endswith("xz")
    assert "characters left out" in found


def test_a_broken_traceback_is_no_obstacle(monkeypatch):
    """If even formatting fails, type and message are there."""

    def fail(*args):
        raise RuntimeError("cannot format")

    monkeypatch.setattr(traceback, "format_exception", fail)
    assert report(ValueError("x"))["traceback"] == "ValueError: x\n"


def test_json_is_standard_and_compact():
    """No spaces, no nan, UTF-8."""
    assert wire.dumps({"a": [1, "é"]}) == '{"a":[1,"é"]}'.encode()
    with pytest.raises(ValueError, match="JSON"):
        wire.dumps(float("nan"))


@pytest.mark.parametrize("payload", [b"NaN", b"[Infinity]", b"", b"{", b"\xff", b"1 2"])
def test_only_standard_json_is_read(payload):
    """What is not JSON is a ValueError with the position."""
    with pytest.raises(ValueError):  # noqa: PT011  (several kinds of it)
        wire.loads(payload)


def test_deep_json_is_a_value_error():
    """Nesting beyond Python's stack is refused, not a crash."""
    with pytest.raises(ValueError, match="nested too deeply"):
        wire.loads(b"[" * (sys.getrecursionlimit() * 20))


def test_envelopes():
    """Result and end."""
    assert wire.result_envelope([1]) == {"result": [1]}
    assert wire.end_envelope(3) == {"gpuhub_end": {"items": 3, "wire": 1}}


def test_values_of_secrets_are_blotted_out(monkeypatch):
    """In message and traceback, the longest first; short ones would be everywhere."""
    monkeypatch.setenv("TOKEN", "s3cret")
    monkeypatch.setenv("LONG_TOKEN", "s3cret-and-more")
    monkeypatch.setenv("PIN", "0")
    envelope = wire.error_envelope(raised(ValueError("s3cret-and-more, s3cret, 10")))
    hidden = wire.without_secrets(envelope, ["TOKEN", "LONG_TOKEN", "PIN", "NOT_SET"])
    assert hidden["gpuhub_error"]["message"] == "***, ***, 10"
    assert "s3cret" not in hidden["gpuhub_error"]["traceback"]
    assert wire.without_secrets({"result": "s3cret"}, ["TOKEN"]) == {"result": "s3cret"}
