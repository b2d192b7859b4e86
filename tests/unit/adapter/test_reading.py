"""Answers are what is documented, or a MalformedResponse says what they are instead."""

from __future__ import annotations

import json

import pytest

from gpuhub.adapter.reading import Answers, first_of
from gpuhub.errors import MalformedResponse
from gpuhub.plan import Response

ANSWERS = Answers("acme", "Acme", speaker="the gateway")


def answer(body: object) -> Response:
    """Make an answer."""
    return Response(200, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


def test_an_object_is_given():
    """As it is."""
    assert ANSWERS.document(answer({"a": [1]})) == {"a": [1]}


@pytest.mark.parametrize("body", [[], "text", 1, None])
def test_another_document_is_malformed(body):
    """The error says whose answer, to what, and what to do."""
    with pytest.raises(MalformedResponse) as caught:
        ANSWERS.document(answer(body), sent="GET /apps")
    error = caught.value
    assert error.message == "Acme: the answer to GET /apps is no JSON object"
    assert (error.provider, error.status, error.accepted) == ("acme", 200, None)
    assert error.next_step.endswith("the gateway may have changed")
    with pytest.raises(MalformedResponse, match="Acme: the answer is no JSON object"):
        ANSWERS.document(answer(body))


def test_what_is_no_json_names_the_provider():
    """The error is the answer's own."""
    with pytest.raises(MalformedResponse, match="not JSON") as caught:
        ANSWERS.document(answer(b"<html>"))
    assert caught.value.provider == "acme"


def test_a_member_is_of_its_type():
    """One type, or one of several; a bool where a bool is asked for."""
    found = {"id": "x", "count": 3, "ready": True}
    assert ANSWERS.member(found, "id", str) == "x"
    assert ANSWERS.member(found, "count", (int, float)) == 3
    assert ANSWERS.member(found, "ready", bool) is True


@pytest.mark.parametrize(("name", "kind"), [("id", int), ("ready", int), ("none", str)])
def test_another_member_is_malformed(name, kind):
    """Missing, of another type, or a bool in the place of a number; the others are named."""
    with pytest.raises(MalformedResponse) as caught:
        ANSWERS.member({"id": "x", "ready": True}, name, kind)
    assert caught.value.message == f"Acme: the answer has no proper '{name}' (it has: id, ready)"
    assert caught.value.next_step


def test_the_first_that_says_something():
    """Empty and missing ones are passed over; what is no text becomes one."""
    found = {"detail": "", "error": None, "code": 3, "message": "words"}
    assert first_of(found, "detail", "error", "message", "code") == "words"
    assert first_of(found, "missing", "code") == "3"
    assert first_of(found, "detail", "error") == ""


def test_a_state_that_is_documented_has_a_meaning():
    """Another is malformed: the error names what is in it, and the state."""
    assert ANSWERS.known({"DONE": 1}, "DONE", "the job j-1") == 1
    with pytest.raises(MalformedResponse) as caught:
        ANSWERS.known({"DONE": 1}, "LOST", "the job j-1")
    error = caught.value
    assert error.message == "Acme reports the job j-1 in the unknown state 'LOST'"
    assert (error.provider, error.accepted) == ("acme", None)
    assert "gpuhub-sdk" in error.next_step
