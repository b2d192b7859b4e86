"""Coroutines, generators, classes and web apps, as their authors wrote them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any, assert_type

import gpuhub

App = Callable[[dict[str, Any]], Awaitable[None]]


@gpuhub.function(gpu=["H100:2", "A100-80GB"], scaling=gpuhub.Scaling(max_workers=2))
async def summarize(text: str) -> int:
    """Give the length of a text, later."""
    return len(text)


@gpuhub.function(timeout=60)
def tokens(text: str) -> Iterator[str]:
    """Give the words of a text."""
    yield from text.split()


@gpuhub.function
async def tokens_later(text: str) -> AsyncIterator[str]:
    """Give the words of a text, later."""
    for word in text.split():
        yield word


class Transcriber:
    """Give the text of a sound."""

    def setup(self) -> None:
        """Load the model."""
        self.model = "model"

    def __call__(self, audio: bytes) -> str:
        """Take one call."""
        return f"{self.model} {len(audio)}"


# mypy ignores what a class decorator gives; the call form has its type everywhere.
transcribe = gpuhub.function(gpu=gpuhub.gpu(memory=">=40GB"))(Transcriber)


@gpuhub.web(gpu="L4")
def app() -> App:
    """Make the application."""
    raise RuntimeError


def coroutine_function() -> None:
    """A plain call gives the coroutine, a remote one what it gives."""
    assert_type(summarize("hi"), Coroutine[Any, Any, int]).close()
    assert_type(summarize.remote("hi"), int)
    summarize.remote(1)  # expect-error: arg-type


def generator_functions() -> None:
    """A plain call gives the iterator, a stream the same items."""
    assert_type(tokens("hi"), Iterator[str])
    assert_type(tokens.stream("hi"), Iterator[str])
    tokens.stream(b"hi")  # expect-error: arg-type


async def async_generator_functions() -> None:
    """Async generators stream as well."""
    assert_type(tokens_later("hi"), AsyncIterator[str])
    assert_type(tokens_later.stream_async("hi"), AsyncIterator[str])


def classes() -> None:
    """A class is called as its ``__call__`` says."""
    assert_type(transcribe.remote(b""), str)
    assert_type(transcribe(b""), str)
    transcribe.remote("text")  # expect-error: arg-type


def web_apps() -> None:
    """A web app has an address."""
    assert_type(app(), App)
    assert_type(app.url, str | None)
    endpoint = app.deploy()
    assert_type(endpoint.url, str | None)


def foreign_endpoints() -> None:
    """Nothing is known of an endpoint that gpuhub did not make."""
    assert_type(gpuhub.Endpoint.connect("mock://there").invoke(prompt="hi"), Any)


def wrong_settings() -> None:
    """Settings are checked as well."""
    gpuhub.Image(pyhton="3.12")  # expect-error: call-arg
    gpuhub.Scaling(max_workers="8")  # expect-error: arg-type
    gpuhub.function(gpus="A100")  # expect-error: call-overload
