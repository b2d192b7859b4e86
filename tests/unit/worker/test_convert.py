"""Conversion of single annotations: the wire form, the refusals and their paths."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import json
import pathlib
import sys
import typing
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Required,
    TypeVar,
)

import numpy as np
import numpy.typing as npt
import pydantic
import pytest
from typing_extensions import TypeAliasType, TypedDict

from gpuhub.worker.conversion import ConversionError, UnsupportedAnnotation
from gpuhub.worker.convert import Converters, from_wire, to_wire
from gpuhub.worker.file import File

T = TypeVar("T")
UserId = NewType("UserId", int)
UTC = dt.timezone(dt.timedelta(0))


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Shape(enum.Enum):
    POINT = (0, 0)


@dataclasses.dataclass
class Tree:
    value: int
    children: list[Tree] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Box(Generic[T]):
    content: T
    size: int = dataclasses.field(default=0, init=False)


@dataclasses.dataclass
class Special(Tree):
    extra: int = 0


@dataclasses.dataclass
class Picky:
    value: int

    def __post_init__(self) -> None:
        if self.value < 0:
            raise ValueError("below zero")


@dataclasses.dataclass
class Hidden:
    seed: dataclasses.InitVar[int]


class Point(NamedTuple):
    x: int
    label: bytes = b""


class Options(TypedDict, total=False):
    depth: Required[int]
    names: list[str]


class Partial(TypedDict):
    depth: int
    names: NotRequired[list[str]]


class Model(pydantic.BaseModel):
    count: int
    when: dt.datetime
    data: bytes = b""


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="forbid")
    when: dt.date
    pair: tuple[int, int]


class Aliased(pydantic.BaseModel):
    inner_name: int = pydantic.Field(alias="innerName")


class Numbers(pydantic.RootModel[list[float]]):
    pass


class Word(str):
    __slots__ = ()


Json = TypeAliasType("Json", "bool | int | float | str | list[Json] | dict[str, Json] | None")


def there_and_back(value: Any, annotation: Any) -> Any:
    """Send a value through JSON text and give what arrives."""
    text = json.dumps(to_wire(value, annotation), allow_nan=False)
    return from_wire(json.loads(text), annotation)


WIRE_FORMS = [
    (None, None, None),
    (True, bool, True),
    (3, int, 3),
    (3, float, 3),
    (2.5, float, 2.5),
    (float("inf"), float, {"$gpuhub": "float", "data": "inf"}),
    ("hi", str, "hi"),
    (b"hi", bytes, "aGk="),
    (bytearray(b"hi"), bytearray, "aGk="),
    (1 + 2j, complex, [1.0, 2.0]),
    (dt.datetime(2026, 1, 2, 3, tzinfo=UTC), dt.datetime, "2026-01-02T03:00:00+00:00"),
    (dt.date(2026, 1, 2), dt.date, "2026-01-02"),
    (dt.time(3, 4), dt.time, "03:04:00"),
    (dt.timedelta(days=1, seconds=2), dt.timedelta, "P1DT2S"),
    (dt.timedelta(days=-1, microseconds=5), dt.timedelta, "-P0DT86399.999995S"),
    (decimal.Decimal("1.50"), decimal.Decimal, "1.50"),
    (uuid.UUID(int=5), uuid.UUID, "00000000-0000-0000-0000-000000000005"),
    (pathlib.Path("a/b"), pathlib.Path, "a/b"),
    (pathlib.PurePosixPath("/a"), pathlib.PurePosixPath, "/a"),
    ([1, 2], list[int], [1, 2]),
    ([[0.5], []], list[list[float]], [[0.5], []]),
    (("a", 1), tuple[str, int], ["a", 1]),
    ((1, 2, 3), tuple[int, ...], [1, 2, 3]),
    ((), tuple[()], []),
    ({2, 1}, set[int], [1, 2]),
    (frozenset({b"a"}), frozenset[bytes], ["YQ=="]),
    (collections.deque([1]), collections.deque[int], [1]),
    ({"a": 1}, dict[str, int], {"a": 1}),
    ({1: "x"}, dict[int, str], {"1": "x"}),
    ({Colour.RED: 1}, dict[Colour, int], {"red": 1}),
    ({(1, 2): 3}, dict[tuple[int, int], int], {"$gpuhub": "dict", "data": [[[1, 2], 3]]}),
    ({"$gpuhub": 1}, dict[str, int], {"$gpuhub": "dict", "data": [["$gpuhub", 1]]}),
    (collections.Counter("aa"), collections.Counter[str], {"a": 2}),
    (collections.OrderedDict(a=1), collections.OrderedDict[str, int], {"a": 1}),
    (None, typing.Union[int, None], None),  # noqa: UP007
    (3, int | None, 3),
    ("x", str | bytes, "x"),
    (b"x", str | bytes, {"$gpuhub": "option", "data": [1, "eA=="]}),
    (b"x", bytes | list[int], "eA=="),
    (1, int | float, 1),
    (1.0, int | float, 1.0),
    ([1.5], list[int] | list[float], {"$gpuhub": "option", "data": [1, [1.5]]}),
    ("a", Literal["a", 1], "a"),
    (True, Literal[1, True], True),
    (Colour.RED, Colour, "red"),
    (Level.LOW, Level, 1),
    (Shape.POINT, Shape, "POINT"),
    (Tree(1, [Tree(2)]), Tree, {"value": 1, "children": [{"value": 2, "children": []}]}),
    (Box(b"x"), Box[bytes], {"content": "eA=="}),
    (Point(1, b"x"), Point, {"x": 1, "label": "eA=="}),
    ({"depth": 1}, Options, {"depth": 1}),
    ({"depth": 1, "names": ["a"]}, Partial, {"depth": 1, "names": ["a"]}),
    (Model(count=1, when=dt.datetime(2026, 1, 1, tzinfo=UTC)), Model, None),
    (Strict(when=dt.date(2026, 1, 2), pair=(1, 2)), Strict, {"when": "2026-01-02", "pair": [1, 2]}),
    (Aliased(innerName=3), Aliased, {"innerName": 3}),
    (Numbers([1.5]), Numbers, [1.5]),
    (File(b"x", "a.png", "image/png"), File, None),
    (UserId(5), UserId, 5),
    (5, Annotated[int, "positive"], 5),
    (Word("hi"), Word, "hi"),
    ({"a": [1, None]}, Json, {"a": [1, None]}),
    (5, T, 5),
]


@pytest.mark.parametrize(("value", "annotation", "wire"), WIRE_FORMS, ids=repr)
def test_wire_form(value, annotation, wire):
    """An annotated value travels as plain JSON and comes back as it was, type included."""
    if wire is not None:
        assert to_wire(value, annotation) == wire
    back = there_and_back(value, annotation)
    assert back == value
    assert type(back) is type(value) or annotation is float


ANY_VALUES = [
    b"x",
    bytearray(b"x"),
    (1, (2, b"x")),
    {1, 2},
    frozenset({"a"}),
    {1: 2, "a": None},
    {"$gpuhub": "bytes", "data": "x"},
    {"$gpuhub_ref": {"url": "s3://other"}},
    [float("-inf"), 1.5, True],
    1 + 2j,
    dt.datetime(2026, 1, 2, tzinfo=UTC),
    dt.date(2026, 1, 2),
    dt.time(1, 2),
    dt.timedelta.min,
    decimal.Decimal("1.5"),
    uuid.UUID(int=1),
    pathlib.Path("a"),
    File(b"x", "n"),
    [[1, "a", None], {"k": [b"x"]}],
]


@pytest.mark.parametrize("value", ANY_VALUES, ids=repr)
@pytest.mark.parametrize("annotation", [Any, object, "Unknown", T])
def test_unannotated_values_carry_their_type(value, annotation):
    """Without an annotation, what JSON lacks is tagged and comes back with its type."""
    back = there_and_back(value, annotation)
    assert back == value
    assert type(back) is type(value)


def test_not_a_number_survives():
    """NaN has no JSON number; it travels tagged, annotated or not."""
    for annotation in (float, Any):
        back = there_and_back(float("nan"), annotation)
        assert back != back  # noqa: PLR0124  (only nan does that)


@pytest.mark.parametrize("annotation", [np.ndarray, npt.NDArray[np.float32], Any], ids=repr)
def test_arrays_keep_dtype_and_shape(annotation):
    """A numpy array travels as its bytes and comes back writable."""
    array = np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::-1]
    back = there_and_back(array, annotation)
    assert back.dtype == array.dtype
    assert back.flags.writeable
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("dtype", ["?", "i1", ">i8", "f2", "c16", "U3", "S2", "M8[ns]", "m8[s]"])
def test_arrays_of_every_plain_dtype(dtype):
    """Booleans, numbers, texts and times of any byte order."""
    array = np.zeros((2, 0, 3) if dtype == "?" else (2,), dtype)
    back = there_and_back(array, np.ndarray)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)


def test_arrays_take_plain_lists():
    """An HTTP client without numpy sends nested lists."""
    assert from_wire([[1, 2]], npt.NDArray[np.int16]).dtype == np.int16
    assert from_wire([[1, 2.5]], np.ndarray).tolist() == [[1, 2.5]]


@pytest.mark.parametrize(
    "wire",
    [
        {"dtype": "O", "shape": [1], "data": ""},
        {"dtype": "|V4", "shape": [1], "data": "AAAAAA=="},
        {"dtype": "<f4", "shape": [-1], "data": ""},
        {"dtype": "<f4", "shape": [1000000000000], "data": "AAAAAA=="},
        {"dtype": "<f4", "shape": [1], "data": "!"},
        {"dtype": "<f4", "shape": [1], "data": 4},
        {"dtype": "<f4", "shape": [1]},
        [[1], [1, 2]],
        "AAAA",
    ],
)
def test_broken_arrays_are_refused(wire):
    """No object dtype (that would be pickle), no shape beyond the data."""
    with pytest.raises(ConversionError):
        from_wire(wire, np.ndarray)


def test_arrays_of_objects_are_refused():
    """Objects in an array would need pickle."""
    with pytest.raises(ConversionError, match="dtype object"):
        to_wire(np.array([{}]), np.ndarray)


def test_numpy_scalars_travel_as_numbers():
    """A numpy scalar fits int, float and bool annotations, and none at all."""
    assert to_wire(np.float32(0.5), float) == 0.5
    assert to_wire(np.int64(3), int) == 3
    assert to_wire(np.bool_(True), bool) is True
    assert to_wire({"a": np.int64(3), "b": np.float64(0.5), "c": np.str_("x")}) == {
        "a": 3,
        "b": 0.5,
        "c": "x",
    }
    assert type(there_and_back(np.float32(0.5), np.float32)) is np.float32


@pytest.mark.parametrize(
    ("value", "annotation", "message"),
    [
        ("1", int, "expected int, got str"),
        (1.0, int, "expected int, got float"),
        (1, str, "expected str, got int"),
        (1, bool, "expected bool, got int"),
        ("1", float, "expected float, got str"),
        (None, int, "expected int, got NoneType"),
        (1, None, "expected None, got int"),
        ("ab", list[str], "expected list[str], got str"),
        ("ab", Sequence[str], "expected Sequence[str], got str"),
        ((1,), list[int], "expected list[int], got tuple"),
        ({"a": 1}, Iterable[str], "expected Iterable[str], got dict"),
        ([1, "2"], list[int], "[1]: expected int, got str"),
        ({"a": {"b": "1"}}, dict[str, dict[str, int]], "['a']['b']: expected int, got str"),
        ((1,), tuple[int, int], "expected 2 items (tuple[int, int]), got 1"),
        ([1], set[int], "expected set[int], got list"),
        (Tree(1, [Tree("2")]), Tree, "children[0].value: expected int, got str"),  # type: ignore[arg-type]
        (Special(1), Tree, "expected Tree, got"),
        (
            {"depth": 1, "nope": 1},
            Options,
            "expected Options with depth, names, got the key 'nope'",
        ),
        ({"names": []}, Options, "expected Options with depth, got none"),
        (dt.datetime(2026, 1, 1, tzinfo=UTC), dt.date, "expected date, got datetime"),
        ("red", Colour, "expected Colour, got str"),
        ("b", Literal["a"], "expected Literal['a'], got 'b'"),
        (object(), int | str, "expected int | str, got object"),
        (Colour.RED, Any, "annotate the parameter"),
        (Tree(1), Any, "annotate the parameter"),
        (Point(1), Any, "annotate the parameter"),
        (Model(count=1, when=dt.datetime(2026, 1, 1, tzinfo=UTC)), Any, "annotate the parameter"),
        ([Word("x")], Any, "[0]: expected a value that JSON or a tag can carry"),
        (Numbers([float("nan")]), Numbers, "expected a finite number, inside a pydantic model"),
    ],
)
def test_misfits_name_place_and_types(value, annotation, message):
    """A value that does not fit is refused with its path, what was expected and what it is."""
    with pytest.raises(ConversionError) as caught:
        to_wire(value, annotation)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("wire", "annotation", "message"),
    [
        ("1", int, "expected int, got str"),
        (1, str, "expected str, got int"),
        (1, bool, "expected bool, got int"),
        (10**400, float, "an integer too large"),
        ("?", bytes, "expected bytes as base64 text"),
        ("soon", dt.datetime, "expected datetime as ISO 8601 text"),
        ("P", dt.timedelta, "expected timedelta as ISO 8601 duration"),
        ("P1DT", dt.timedelta, "expected timedelta as ISO 8601 duration"),
        ("one", decimal.Decimal, "expected Decimal as decimal text"),
        ({}, list[int], "expected list[int], got dict"),
        ([[]], set[list[int]], "hashable members"),
        ({"a": 1}, dict[int, int], "expected int, got text that is no number"),
        ({"value": 1, "more": 2}, Tree, "got the field 'more'"),
        ({}, Tree, "expected Tree with value, got none"),
        ({"value": -1}, Picky, "below zero"),
        ("green", Colour, "one of 'red', 'blue', got 'green'"),
        ([1, 2, 3], Point, "expected 2 items (Point), got 3"),
        ({"count": "x", "when": 1}, Model, "at count"),
        ({"$gpuhub": "object", "data": "x"}, Any, "with a tag of"),
        ({"$gpuhub": "bytes"}, Any, "with a tag of"),
        ({"$gpuhub": ["bytes"], "data": ""}, Any, "with a tag of"),
        ({"$gpuhub": "option", "data": [7, 1]}, int | str, "[index, value] of int | str"),
        ({"$gpuhub": "dict", "data": [[1]]}, Any, "[0]: expected [key, value]"),
        ({"$gpuhub": "dict", "data": [[[], 1]]}, Any, "hashable keys"),
        ({"$gpuhub": "file", "data": {}}, Any, "a file as {name, media_type, data}"),
        ({"$gpuhub": "complex", "data": [1]}, complex, "[real, imaginary]"),
        ([], int | str, "expected int | str, got list"),
    ],
)
def test_broken_wire_values_are_refused(wire, annotation, message):
    """What a stranger may send is checked as strictly as what we send."""
    with pytest.raises(ConversionError) as caught:
        from_wire(wire, annotation)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("wire", "annotation", "value"),
    [
        (1, float, 1.0),
        (90, dt.timedelta, dt.timedelta(seconds=90)),
        (1.5, decimal.Decimal, decimal.Decimal("1.5")),
        ("2026-01-02T03:00:00Z", dt.datetime, dt.datetime(2026, 1, 2, 3, tzinfo=UTC)),
        ("PT1H30M", dt.timedelta, dt.timedelta(hours=1, minutes=30)),
        ([1, "eA=="], Point, Point(1, b"x")),
        ([1], Sequence[int], [1]),
        ({"a": 1}, Mapping[str, int], {"a": 1}),
        (1, float | None, 1.0),
        (1, float | str, 1.0),
    ],
)
def test_other_clients_may_write_it_differently(wire, annotation, value):
    """Forms that only other clients send are understood."""
    back = from_wire(wire, annotation)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (b"x", bytes),
        ((1, 2), tuple[int, int]),
        ([(1, 2)], list[tuple[int, int]]),
        ((1, 2), Sequence[int]),
        ({1, 2}, set[int]),
        ({1: b"x"}, dict[int, bytes]),
        (dt.date(2026, 1, 1), dt.date),
        (dt.timedelta(1), dt.timedelta),
        (pathlib.Path("a"), pathlib.Path),
        (File(b"x", "n"), File),
        (float("inf"), float),
        (b"x", str | bytes),
        (np.arange(3), np.ndarray),
    ],
    ids=repr,
)
def test_an_annotated_side_understands_tags(value, annotation):
    """A caller without the function sends tagged values to annotated code."""
    back = from_wire(to_wire(value, Any), annotation)
    assert np.array_equal(back, value) if isinstance(value, np.ndarray) else list_like(back, value)


def list_like(back: Any, value: Any) -> bool:
    """Compare; a ``Sequence`` is a list on arrival."""
    return bool(back == value or back == list(value))


@pytest.mark.parametrize(
    "annotation", [typing.Callable[[], int], type, Hidden, list[Hidden], memoryview, pytest.Item]
)
def test_annotations_without_a_json_form(annotation):
    """Such an annotation is refused by name, with a way out."""
    with pytest.raises(UnsupportedAnnotation, match=r"has no JSON form; use"):
        Converters().get(annotation)


def test_an_unsupported_member_of_a_union_is_no_obstacle():
    """Values of the other members still travel."""
    assert to_wire(1, int | memoryview) == 1
    with pytest.raises(ConversionError):
        to_wire(memoryview(b""), int | memoryview)


def test_converters_are_made_once_and_by_order():
    """Equal unions of different order are different on the wire."""
    converters = Converters()
    assert converters.get(list[Tree]) is converters.get(list[Tree])
    assert converters.get(str | bytes) is not converters.get(bytes | str)
    assert converters.get(bytes | str).encode(b"x") == "eA=="


def test_what_contains_itself_is_refused():
    """A list inside itself ends in an error, not in a crash."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ConversionError, match="nested too deeply"):
        to_wire(endless)


def test_long_lists_of_numbers_are_checked():
    """The fast way for embeddings does not skip the check of each item."""
    assert to_wire([0.5] * 1000, list[float]) == [0.5] * 1000
    with pytest.raises(ConversionError, match=r"\[999\]: expected float, got str"):
        to_wire([0.5] * 999 + ["x"], list[float])
    assert to_wire([0.5, float("nan")], list[float])[1] == {"$gpuhub": "float", "data": "nan"}
    assert to_wire([True, 1], list[int]) == [True, 1]


def test_sets_have_one_form():
    """Equal sets give equal payloads, whatever order they iterate in."""
    words = {str(number) for number in range(100)}
    assert to_wire(words, set[str]) == sorted(words)
    assert to_wire(words)["data"] == sorted(words)


def test_arrays_need_numpy(monkeypatch):
    """An image without numpy says so."""
    wire = to_wire(np.arange(3), np.ndarray)
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(ConversionError, match="numpy to be installed"):
        from_wire({"$gpuhub": "ndarray", "data": wire})


@pytest.mark.parametrize("wire", [[1], "x", 2.5, 300, {"$gpuhub": "float", "data": "nan"}])
def test_numpy_scalars_are_checked(wire):
    """A value that an int8 cannot hold is refused."""
    with pytest.raises(ConversionError, match=r"numpy\.int8"):
        from_wire(wire if wire != 2.5 else None, np.int8)


def test_numpy_scalars_may_be_infinite():
    """As floats may."""
    assert there_and_back(np.float32("inf"), np.float32) == np.float32("inf")
    with pytest.raises(ConversionError, match=r"expected numpy\.float32, got list"):
        to_wire([], np.float32)


def test_values_of_numpy_without_a_plain_form_are_refused():
    """A longdouble has no Python number, a masked array is no array."""
    with pytest.raises(ConversionError, match="annotate"):
        to_wire(np.longdouble(1))


def test_annotations_need_not_be_hashable():
    """Metadata may be anything."""
    assert to_wire(5, Annotated[int, []]) == 5
    assert there_and_back("a", Annotated[Literal["a"], {}]) == "a"


class Restrictive(str):
    __slots__ = ()

    def __new__(cls, text):
        if text == "bad":
            raise ValueError("bad text")
        return super().__new__(cls, text)


def test_subclasses_are_rebuilt_and_checked():
    """A user's own text class checks what arrives."""
    assert type(there_and_back(Restrictive("ok"), Restrictive)) is Restrictive
    with pytest.raises(ConversionError, match="expected Restrictive, got str"):
        to_wire("ok", Restrictive)
    with pytest.raises(ConversionError, match="bad text"):
        from_wire("bad", Restrictive)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        ([], dict[str, int]),
        ([], frozenset[int]),
        ([], complex),
        ([], Options),
        ([], Model),
        ([], Json),
        ({}, set[int]),
    ],
    ids=repr,
)
def test_containers_are_checked_by_type(value, annotation):
    """Another kind of value is refused, not iterated."""
    if annotation is Json:
        assert to_wire(value, annotation) == []
        return
    with pytest.raises(ConversionError, match=r"got (list|dict)"):
        to_wire(value, annotation)


@pytest.mark.parametrize(
    ("wire", "annotation"),
    [
        ([], dict[str, int]),
        ({}, tuple[int, ...]),
        ({}, set[int]),
        ({}, Tree | None),
        ([], Tree),
        (5, Colour),
        ({}, dict[tuple[int, int], int]),
        ({"$gpuhub": "tuple", "data": 5}, Any),
        ({"$gpuhub": "dict", "data": 5}, Any),
        ("\x00", UserId),
    ],
    ids=repr,
)
def test_containers_from_strangers_are_checked_by_type(wire, annotation):
    """Another kind of JSON value is refused."""
    if wire == {} and annotation == dict[tuple[int, int], int]:
        with pytest.raises(ConversionError, match="a list of pairs tagged dict"):
            from_wire(wire, annotation)
        return
    with pytest.raises(ConversionError):
        from_wire(wire, annotation)


class Unserialisable(pydantic.BaseModel):
    data: bytes


def test_models_that_have_no_json_are_refused():
    """Pydantic's own refusal, with the model's name."""
    with pytest.raises(ConversionError, match="a Unserialisable with a JSON form"):
        to_wire(Unserialisable(data=b"\xff"), Unserialisable)
    with pytest.raises(ConversionError, match=r"\[0\]\.weights\[1\]: expected a finite number"):
        to_wire([Weights(weights=[1.0, float("inf")])], list[Weights])


class Weights(pydantic.BaseModel):
    weights: list[float]


class Duck:
    """Looks like a model and fails in its own way."""

    def model_dump(self, **_: Any) -> Any:
        return {}

    @classmethod
    def model_validate(cls, wire: Any) -> Any:
        raise ValueError("not today")


def test_models_are_known_by_their_methods():
    """Whatever has them is converted by them; its errors need not be pydantic's."""
    assert to_wire(Duck(), Duck) == {}
    with pytest.raises(ConversionError, match="not today"):
        from_wire({}, Duck)


Alias = TypeAliasType("Alias", "list[T]", type_params=(T,))


def test_generic_aliases_are_filled_in():
    """``Alias[bytes]`` is ``list[bytes]``."""
    assert to_wire([b"x"], Alias[bytes]) == ["eA=="]
    assert to_wire([b"x"], Alias) == [{"$gpuhub": "bytes", "data": "eA=="}]
