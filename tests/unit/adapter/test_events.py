"""Server-sent events are put together from chunks of any size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub.adapter.events import Event, EventReader


def events(body: str | bytes, *, size: int = 1000, keep_empty: bool = False) -> list[Event]:
    """Read a stream that comes in chunks of some bytes."""
    sent = body if isinstance(body, bytes) else body.encode()
    reader = EventReader(keep_empty=keep_empty)
    chunks = [sent[at : at + size] for at in range(0, len(sent), size)]
    return [event for chunk in chunks for event in reader.feed(chunk)]


def test_an_event_has_a_name_data_and_an_id():
    """In any order; the name of one without is the standard's, its id the last one's."""
    body = "id: 7\nevent: output\ndata: words\n\ndata: more\n\n"
    assert events(body) == [Event("output", "words", "7"), Event("message", "more", "7")]


@pytest.mark.parametrize(
    ("line", "data"),
    [("data: x", "x"), ("data:x", "x"), ("data:  x", " x"), ("data", ""), ("data: a: b", "a: b")],
)
def test_one_blank_after_the_colon_is_not_data(line, data):
    """And no colon is an empty value."""
    assert events(f"{line}\n\n") == [Event("message", data)]


def test_lines_of_data_are_put_together():
    """With line ends between them, whatever ended them."""
    assert events("data: a\r\ndata:\r\ndata: b\r\n\r\n") == [Event("message", "a\n\nb")]


def test_comments_and_unknown_fields_are_passed_over():
    """They keep a connection open, or tell how to connect again."""
    assert events(": hello\n\nretry: 10\n\n: data\ndata: x\n\n") == [Event("message", "x")]


def test_an_event_without_data_is_dropped_or_kept():
    """A name may say enough; no name says nothing."""
    body = "event: done\n\nid: 1\n\ndata: x\n\n"
    assert events(body) == [Event("message", "x", "1")]
    assert events(body, keep_empty=True) == [Event("done", ""), Event("message", "x", "1")]


def test_an_event_that_did_not_end_is_not_given():
    """The stream was cut."""
    assert events("data: x\n\ndata: y\n") == [Event("message", "x")]


def test_what_is_no_utf8_is_replaced():
    """The rest of the stream is of use."""
    assert events(b"data: a\xffb\n\n") == [Event("message", "a\N{REPLACEMENT CHARACTER}b")]


WORDS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n"))


@given(st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1)), min_size=1), st.integers(1, 20))
def test_events_are_read_from_any_chunks(sent, size):
    """Of bytes, so that a letter may be cut."""
    body = "".join(
        f"event: {name}\n" + "".join(f"data: {line}\n" for line in lines) + "\n"
        for name, lines in sent
    )
    expected = [Event(name or "message", "\n".join(lines)) for name, lines in sent]
    assert events(body, size=size) == expected
