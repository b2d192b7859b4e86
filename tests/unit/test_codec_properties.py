"""Whatever fits an annotation survives client, JSON text and worker, both ways."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import uuid
from typing import Any, Literal, NamedTuple, NotRequired, Optional, Union

import pydantic
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypedDict

from gpuhub.codec import Codec, TaggedCodec
from gpuhub.worker.file import File
from gpuhub.worker.handler import Handler
from gpuhub.worker.target import Target
from gpuhub.worker.wire import dumps, loads


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclasses.dataclass(frozen=True)
class Pixel:
    place: tuple[int, int]
    colour: Colour
    raw: bytes = b""


class Span(NamedTuple):
    start: dt.datetime
    length: dt.timedelta


class Options(TypedDict):
    depth: int
    label: NotRequired[str]


class Job(pydantic.BaseModel):
    name: str
    due: dt.date | None
    weights: list[float]


UTC = dt.timezone(dt.timedelta(hours=2))
finite = st.floats(allow_nan=False)

SCALARS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (type(None), st.none()),
    (bool, st.booleans()),
    (int, st.integers()),
    (float, finite),
    (str, st.text()),
    (bytes, st.binary()),
    (complex, st.complex_numbers(allow_nan=False)),
    (dt.datetime, st.datetimes(timezones=st.sampled_from([None, UTC]))),
    (dt.date, st.dates()),
    (dt.time, st.times()),
    (dt.timedelta, st.timedeltas()),
    (decimal.Decimal, st.decimals(allow_nan=False)),
    (uuid.UUID, st.uuids()),
    (Colour, st.sampled_from(Colour)),
    (Literal["a", 1, True], st.sampled_from(["a", 1, True])),
]
RECORDS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (
        Pixel,
        st.builds(Pixel, st.tuples(st.integers(), st.integers()), st.sampled_from(Colour)),
    ),
    (Span, st.builds(Span, st.datetimes(), st.timedeltas())),
    (
        Options,
        st.fixed_dictionaries({"depth": st.integers()}, optional={"label": st.text()}),
    ),
    (
        Job,
        st.builds(
            Job,
            name=st.text(),
            due=st.none() | st.dates(),
            weights=st.lists(st.floats(allow_nan=False, allow_infinity=False)),
        ),
    ),
    (File, st.builds(File, st.binary(), st.text(), st.text())),
]

Typed = tuple[Any, st.SearchStrategy[Any]]


def generic(origin: Any, *inner: Any) -> Any:
    """Give ``origin[inner]``, made at run time."""
    return origin[inner if len(inner) > 1 else inner[0]]


def containers(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    """Give annotations built from others, each with a strategy for its values."""
    keys = st.sampled_from([pair for pair in SCALARS if pair[0] not in (float, complex)])
    pairs = st.tuples(inner, inner)
    return st.one_of(
        inner.map(lambda t: (generic(list, t[0]), st.lists(t[1], max_size=4))),
        inner.map(lambda t: (generic(tuple, t[0], ...), st.lists(t[1], max_size=4).map(tuple))),
        pairs.map(lambda p: (generic(tuple, p[0][0], p[1][0]), st.tuples(p[0][1], p[1][1]))),
        keys.map(lambda t: (generic(set, t[0]), st.sets(t[1], max_size=4))),
        st.tuples(keys, inner).map(
            lambda p: (
                generic(dict, p[0][0], p[1][0]),
                st.dictionaries(p[0][1], p[1][1], max_size=4),
            )
        ),
        inner.map(lambda t: (generic(Optional, t[0]), st.none() | t[1])),
        pairs.map(lambda p: (generic(Union, p[0][0], p[1][0]), p[0][1] | p[1][1])),
    )


typed = st.recursive(st.sampled_from(SCALARS + RECORDS), containers, max_leaves=5)

json_keys = st.text() | st.sampled_from(["$gpuhub", "$gpuhub_ref", "result", "error"])
anything = st.recursive(
    st.one_of(*(strategy for annotation, strategy in SCALARS if annotation is not Colour)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(json_keys, inner, max_size=4),
        st.dictionaries(st.integers() | st.dates(), inner, max_size=4),
        st.sets(st.integers() | st.binary(), max_size=4),
    ),
    max_leaves=8,
)


def echo(annotation: Any) -> Any:
    """Make a function that gives its argument back, annotated so."""

    def same(value):
        return value

    same.__annotations__ = {"value": annotation, "return": annotation}
    return same


def is_same(back: Any, value: Any) -> bool:
    """Compare by value and type, all the way down; an int may have become the equal float."""
    if type(back) is not type(value):
        both_numbers = {type(back), type(value)} <= {bool, int, float}
        return both_numbers and bool(back == value)
    if isinstance(value, float):
        return back == value and math.copysign(1, back) == math.copysign(1, value)
    if isinstance(value, list | tuple):
        return len(back) == len(value) and all(map(is_same, back, value))
    if isinstance(value, dict):
        return back == value and all(is_same(back[key], item) for key, item in value.items())
    return bool(back == value)


@given(st.data())
def test_annotated_round_trip(data):
    """Client to worker to client, through standard JSON, for any annotation and value of it."""
    annotation, values = data.draw(typed)
    value = data.draw(values)
    function = echo(annotation)
    target = Target("m", "same")
    codec, handler = Codec(function, target), Handler(function, target)
    payload = codec.encode_call((value,), {})
    json.loads(payload, parse_constant=lambda text: 1 / 0)
    back = codec.decode_result(dumps(handler.invoke(loads(payload))))
    assert is_same(back, value)


@given(anything)
def test_unannotated_round_trip(value):
    """Without annotations, values keep their types by their tags."""
    function = echo(Any)
    codec, handler = TaggedCodec(), Handler(function, Target("m", "same"))
    payload = codec.encode_call((), {"value": value})
    assert is_same(codec.decode_result(dumps(handler.invoke(loads(payload)))), value)


@given(st.data())
def test_tagged_calls_reach_annotated_functions(data):
    """A caller who has only the endpoint's name reaches an annotated function with any value."""
    annotation, values = data.draw(st.sampled_from(SCALARS[:13]))
    value = data.draw(values)
    handler = Handler(echo(generic(list, annotation)), Target("m", "same"))
    payload = TaggedCodec().encode_call((), {"value": [value]})
    codec = Codec(echo(generic(list, annotation)), Target("m", "same"))
    assert is_same(codec.decode_result(dumps(handler.invoke(loads(payload)))), [value])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(json_keys, inner, max_size=3)
        | st.fixed_dictionaries(
            {"$gpuhub": st.sampled_from(["bytes", "dict", "set", "option", "ndarray", "file"])},
            optional={"data": inner},
        )
    ),
    max_leaves=8,
)


@given(json_values, st.sampled_from(SCALARS + RECORDS + [(Any, None), (set[str], None)]))
def test_whatever_a_stranger_sends_is_answered(wire, typed_value):
    """Any JSON gives a result or an error report: nothing escapes the handler."""
    handler = Handler(echo(typed_value[0]), Target("m", "same"))
    envelope = handler.invoke({"value": wire})
    assert list(envelope) in (["result"], ["gpuhub_error"])
    if "gpuhub_error" in envelope:
        assert envelope["gpuhub_error"]["type"].endswith(("ConversionError", "StoreProblem"))
