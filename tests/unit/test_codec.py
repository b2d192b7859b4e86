"""The client's side of the wire form: binding, refusals, answers, speed."""

from __future__ import annotations

import dataclasses
import json
import timeit
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from gpuhub.codec import BareCodec, Codec, TaggedCodec, codec_for
from gpuhub.errors import MalformedResponse, RemoteError, SpecError
from gpuhub.worker.file import File
from gpuhub.worker.target import Target


@dataclasses.dataclass
class Chunk:
    name: str


def embed(texts: list[str], scale: float = 1.0, *, chunk: Chunk | None = None) -> list[float]:
    """Give one number for each text."""
    raise NotImplementedError


def words(text: str) -> Iterator[bytes]:
    """Give the words."""
    yield text.encode()


async def tokens(text: str) -> AsyncIterator[int]:
    """Give the tokens."""
    yield len(text)


class Transcribe:
    def setup(self) -> None: ...

    def __call__(self, audio: bytes) -> str:
        return audio.decode()


EMBED = Codec(embed, Target("m", "embed"))


def test_arguments_travel_by_name():
    """Positional and named arguments give one JSON object; defaults stay with the function."""
    assert EMBED.encode_call((["hi"],), {}) == b'{"texts":["hi"]}'
    payload = EMBED.encode_call((["hi"], 2), {"chunk": Chunk("a")})
    assert json.loads(payload) == {"texts": ["hi"], "scale": 2, "chunk": {"name": "a"}}


def test_text_is_compact_utf8():
    """Text beyond ASCII is not escaped, except for what UTF-8 cannot say."""
    assert EMBED.encode_call((["é"],), {}) == '{"texts":["é"]}'.encode()
    assert json.loads(EMBED.encode_call((["\udc80"],), {})) == {"texts": ["\udc80"]}


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "missing a required argument: 'texts'"),
        ((["a"], 1.0, None), {}, "too many positional arguments"),
        ((["a"],), {"texts": []}, "multiple values for argument 'texts'"),
        ((["a"],), {"tests": []}, "unexpected keyword argument 'tests'"),
        ((["a"], 1.0), {"scale": 1.0, "chunk": None}, "multiple values for argument 'scale'"),
    ],
)
def test_binding_errors_are_pythons(args, kwargs, message):
    """What a plain call would refuse is refused in the same words."""
    with pytest.raises(TypeError, match=f"embed\\(\\) .*{message}"):
        EMBED.encode_call(args, kwargs)


def test_keyword_only_parameters_stay_so():
    """A keyword-only parameter is not filled by position."""
    with pytest.raises(TypeError, match="too many positional"):
        EMBED.encode_call((["a"], 1.0, Chunk("a")), {})


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (("abc",), {}, r"embed\(texts=…\): expected list\[str\], got str"),
        ((["a", 2],), {}, r"embed\(texts\[1\]=…\): expected str, got int"),
        ((["a"],), {"chunk": Chunk(3)}, r"embed\(chunk.name=…\): expected str, got int"),  # type: ignore[arg-type]
        ((["a"],), {"scale": "2"}, r"embed\(scale=…\): expected float, got str"),
    ],
)
def test_misfits_name_the_parameter(args, kwargs, message):
    """A value that does not fit is refused before anything is sent."""
    with pytest.raises(SpecError, match=message) as caught:
        EMBED.encode_call(args, kwargs)
    assert caught.value.next_step


VIEW = memoryview(b"")


def unusable(*texts: str) -> None:
    """Take any number of arguments."""


def unusable_names(**texts: str) -> None:
    """Take any names."""


def unusable_position(text: str, /) -> None:
    """Take an argument without a name."""


def unusable_type(text: memoryview) -> None:
    """Take what has no JSON form."""


def unusable_result(text: str) -> memoryview:
    """Give what has no JSON form."""
    return memoryview(text.encode())


def usable(text: str, client: memoryview | None = None) -> None:
    """Take it optionally, in a union."""


def usable_default(text: str, view: memoryview = VIEW) -> None:
    """Take it optionally."""


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (unusable, r"\*texts cannot be used: every argument travels by name"),
        (unusable_names, r"\*\*texts cannot be used: every argument travels by name"),
        (unusable_position, r"positional-only text cannot be used"),
        (unusable_type, r"text: the annotation builtins.memoryview has no JSON form"),
        (unusable_result, r"result: the annotation builtins.memoryview has no JSON form"),
    ],
)
def test_functions_that_cannot_travel_are_refused(function, message):
    """Parameters without a name and annotations without a JSON form, at construction."""
    with pytest.raises(SpecError, match=message):
        Codec(function, Target("m", function.__name__))


@pytest.mark.parametrize("function", [usable, usable_default])
def test_optional_parameters_may_have_any_annotation(function):
    """What need not be sent need not have a JSON form."""
    codec = Codec(function, Target("m", function.__name__))
    assert codec.encode_call(("a",), {}) == b'{"text":"a"}'


def test_classes_are_called_without_self():
    """The parameters of a class are those of its ``__call__``."""
    codec = Codec(Transcribe, Target("m", "Transcribe", "class"))
    assert codec.encode_call((b"hi",), {}) == b'{"audio":"aGk="}'
    assert codec.decode_result(b'{"result":"hi"}') == "hi"


def test_streams_decode_item_by_item():
    """Chunks give items and the end with its count; the collected form is a list."""
    codec = Codec(words, Target("m", "words", "generator"))
    assert codec.decode_chunk(b'{"result":"aGk="}') == ("item", b"hi")
    assert codec.decode_chunk(b'{"gpuhub_end":{"items":1,"wire":1}}') == ("end", 1)
    assert codec.decode_result(b'{"result":["aGk="]}') == [b"hi"]
    assert Codec(tokens, Target("m", "tokens", "generator", is_async=True)).decode_chunk(
        b'{"result":1}'
    ) == ("item", 1)


ERROR = {
    "type": "app.Boom",
    "message": "bang",
    "traceback": "Traceback…\napp.Boom: bang\n",
    "wire": 1,
}


@pytest.mark.parametrize("codec", [EMBED, TaggedCodec()])
@pytest.mark.parametrize("method", ["decode_result", "decode_chunk"])
def test_remote_errors_carry_everything(codec, method):
    """Type, message and traceback of the remote exception."""
    payload = json.dumps({"gpuhub_error": ERROR}).encode()
    with pytest.raises(RemoteError, match=r"app\.Boom: bang") as caught:
        getattr(codec, method)(payload)
    assert caught.value.error_type == "app.Boom"
    assert caught.value.error_message == "bang"
    assert caught.value.remote_traceback == ERROR["traceback"]


@pytest.mark.parametrize("codec", [EMBED, TaggedCodec()])
@pytest.mark.parametrize("method", ["decode_result", "decode_chunk"])
@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"<html>Bad gateway</html>",
        b"\xff\xfe",
        b"NaN",
        b"null",
        b"[]",
        b"{}",
        b'{"result":NaN}',
        b'{"result":1,"more":2}',
        b'{"output":1}',
        b'{"gpuhub_error":"x"}',
        b'{"gpuhub_error":{"type":1,"message":""}}',
        b'{"result":{"$gpuhub":"pickle","data":""}}',
        b"[" * 100_000,
    ],
)
def test_anything_else_is_malformed(codec, method, payload):
    """What is no envelope is the provider's fault, and says so."""
    with pytest.raises(MalformedResponse):
        getattr(codec, method)(payload)


def test_results_are_not_quoted():
    """A result that does not fit is reported without its content."""
    with pytest.raises(MalformedResponse, match=r"result\[0\]: expected float, got str") as caught:
        EMBED.decode_result(b'{"result":["private"]}')
    assert "private" not in str(caught.value)


@pytest.mark.parametrize("payload", [b'{"gpuhub_end":3}', b'{"gpuhub_end":{"items":"1"}}'])
def test_a_broken_end_is_malformed(payload):
    """The end of a stream has its number of items."""
    with pytest.raises(MalformedResponse, match="number of items"):
        EMBED.decode_chunk(payload)


def test_bare_endpoints_speak_plain_json():
    """Endpoints gpuhub did not make get and give JSON as it is."""
    codec = BareCodec()
    assert codec.encode_call((), {"prompt": "a", "steps": 3}) == b'{"prompt":"a","steps":3}'
    assert codec.decode_result(b'{"result":[1]}') == {"result": [1]}
    assert codec.decode_result(b"") is None
    assert codec.decode_chunk(b'{"a":1}') == ("item", {"a": 1})
    assert codec.decode_chunk(b"token") == ("item", "token")
    with pytest.raises(MalformedResponse):
        codec.decode_result(b"<html>")


def test_bare_endpoints_take_files():
    """As the object that a file is on the wire, wherever it stands: adapters may upload it."""
    sent = BareCodec().encode_call((), {"images": [File(b"abc", "a.png", "image/png")]})
    wire = {"name": "a.png", "media_type": "image/png", "data": "YWJj"}
    assert json.loads(sent) == {"images": [wire]}


@pytest.mark.parametrize("value", [b"bytes", float("nan"), {1, 2}, object()])
def test_bare_endpoints_take_json_only(value):
    """What is no JSON is refused, not guessed at."""
    with pytest.raises(SpecError, match="not plain JSON"):
        BareCodec().encode_call((), {"value": value})


@pytest.mark.parametrize("codec", [BareCodec(), TaggedCodec()])
def test_without_the_function_arguments_need_names(codec):
    """Positions mean nothing where the parameters are not known."""
    with pytest.raises(TypeError, match="by name"):
        codec.encode_call((1,), {})


def test_tagged_calls_name_the_argument():
    """A value that cannot be rebuilt is refused by the argument's name."""
    with pytest.raises(SpecError, match=r"the argument chunk: .*annotate"):
        TaggedCodec().encode_call((), {"chunk": Chunk("a")})


def test_the_right_codec_is_chosen():
    """By annotations, tagged or bare."""
    assert isinstance(codec_for(embed, Target("m", "embed")), Codec)
    assert isinstance(codec_for(None, None), TaggedCodec)
    assert isinstance(codec_for(None, None, made_by_gpuhub=False), BareCodec)


def test_deep_and_odd_values_are_refused():
    """Neither endless nesting nor an unprintable integer crashes the encoder."""

    def take(value: Any) -> None: ...

    codec = Codec(take, Target("m", "take"))
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(SpecError, match="nested too deeply"):
        codec.encode_call((deep,), {})
    with pytest.raises(SpecError, match="no JSON form"):
        codec.encode_call((10**5000,), {})


@pytest.mark.parametrize(
    "step",
    [
        lambda: EMBED.encode_call((["hi"],), {"scale": 2.0}),
        lambda: EMBED.decode_result(b'{"result":[0.5,1.5]}'),
    ],
    ids=["encode", "decode"],
)
def test_small_calls_cost_microseconds(step):
    """Below 20 µs each, so that the codec is no part of a call's latency."""
    best = min(timeit.repeat(step, number=200, repeat=20)) / 200
    assert best < 20e-6


def test_an_envelope_of_something_else_is_malformed():
    """One member, and not one of ours."""
    with pytest.raises(MalformedResponse, match="no gpuhub envelope"):
        TaggedCodec().decode_result(b'{"gpuhub_end":{"items":1}}')


def test_tagged_ends_are_ends():
    """A stream of an endpoint known by name only ends as any other."""
    assert TaggedCodec().decode_chunk(b'{"gpuhub_end":{"items":2,"wire":1}}') == ("end", 2)
    assert TaggedCodec().decode_chunk(b'{"result":1}') == ("item", 1)
