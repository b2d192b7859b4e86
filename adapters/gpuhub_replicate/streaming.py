"""Streams: events of a prediction as they come, and the rest by asking, should they break off.

Replicate closes an event stream that was silent for 30 seconds, whatever the prediction does. Its
events are ``output`` with text, ``error`` with a JSON object, and ``done`` with ``{}`` or a reason
("Streaming output" of its documentation, read 2026-11-20).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import CallState, CancelReceipt, Phase
from gpuhub.adapter.events import EventReader
from gpuhub.errors import (
    CallCancelled,
    CallFailed,
    CallTimedOut,
    GpuHubError,
    OutcomeUnknown,
    ProviderError,
)
from gpuhub_replicate import wire
from gpuhub_replicate.calls import begin, cancel
from gpuhub_replicate.envelopes import Documents, documents_in
from gpuhub_replicate.errors import document
from gpuhub_replicate.states import call_state
from gpuhub_replicate.targets import speaks_envelopes

if TYPE_CHECKING:
    from gpuhub.adapter import CallOptions, CallRef, DeploymentRef, Io
    from gpuhub.adapter.events import Event
    from gpuhub_replicate.defaults import Defaults

__all__ = ["stream"]

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_LAST = ("gpuhub_end", "gpuhub_error")


async def stream(
    io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions, defaults: Defaults
) -> AsyncIterator[bytes]:
    """Post one prediction and yield what comes out. Leaving early cancels it."""
    ends = None if options.budget_s is None else io.now() + options.budget_s * 0.95
    prediction = await begin(io, ref, payload, replace(options, wait_s=0.0))
    state = call_state(ref.address, prediction)
    chunks = _Envelopes() if speaks_envelopes(ref) else _Texts()
    has_ended = False
    try:
        url = (prediction.get("urls") or {}).get("stream")
        if url and not state.phase.is_terminal:
            events = _events(io, str(url), defaults)
            try:
                async for event in events:
                    for chunk in chunks.of_event(event):
                        has_ended = chunks.is_complete
                        yield chunk
                    if event.name == "done" or _is_over(io, ends):
                        break
            finally:
                await events.aclose()  # type: ignore[attr-defined]
        pause = _FIRST_PAUSE_S
        while not has_ended:
            prediction = document(await io.send(wire.get_prediction(state.ref.id)))
            state = call_state(ref.address, prediction)
            has_ended = state.phase.is_terminal
            found = list(chunks.of_output(prediction.get("output"), is_whole=has_ended))
            for chunk in found:
                yield chunk
            if has_ended:
                _check_end(state, chunks)
            elif _is_over(io, ends):
                raise _too_long(state.ref, options)
            else:
                pause = _FIRST_PAUSE_S if found else min(pause * 1.5, _LONGEST_PAUSE_S)
                await io.sleep(pause)
    finally:
        if not has_ended:
            with suppress(GpuHubError):
                await cancel(io, state.ref)


def _is_over(io: Io, ends: float | None) -> bool:
    return ends is not None and io.now() >= ends


async def _events(io: Io, url: str, defaults: Defaults) -> AsyncIterator[Event]:
    """Yield events until the stream ends or breaks: what it did not tell is asked for then."""
    # The token goes to the address of the settings only; elsewhere the URL has to be enough.
    base = defaults.stream_url.rstrip("/")
    origin = "stream" if url.startswith(f"{base}/") else ""
    reader, pieces = EventReader(keep_empty=True), io.stream(wire.open_stream(url, origin))
    try:
        async for piece in pieces:
            for event in reader.feed(piece):
                yield event
    except ProviderError:
        return
    finally:
        await pieces.aclose()  # type: ignore[attr-defined]


class _Envelopes:
    """Chunks of gpuhub's own runner: its envelopes, each once."""

    def __init__(self) -> None:
        self.seen = 0
        self.is_complete = False
        self._documents = Documents()

    def of_event(self, event: Event) -> Iterator[bytes]:
        """Give the envelopes that an event completes."""
        if event.name == "output":
            yield from self._noted(self._documents.feed(event.data))

    def of_output(self, output: Any, *, is_whole: bool) -> Iterator[bytes]:
        """Give the envelopes of a prediction's output that were not given yet.

        A function that is no generator gives one item.
        """
        found = documents_in(output)
        yield from self._noted(iter(found[self.seen :]))
        if is_whole and isinstance(output, str) and found and not self.is_complete:
            self.is_complete = True
            yield b'{"gpuhub_end":{"items":1,"wire":1}}'

    def _noted(self, texts: Iterator[str]) -> Iterator[bytes]:
        for text in texts:
            self.seen += 1
            self.is_complete = any(name in json.loads(text) for name in _LAST)
            yield text.encode()


class _Texts:
    """Chunks of another model: pieces of text, or whole items of another kind."""

    def __init__(self) -> None:
        self.seen = 0
        self.is_complete = False
        self._length = 0

    def of_event(self, event: Event) -> Iterator[bytes]:
        """Give the text of an event."""
        if event.name == "output":
            self.seen += 1
            self._length += len(event.data)
            yield _json(event.data)

    def of_output(self, output: Any, *, is_whole: bool) -> Iterator[bytes]:
        """Give what a prediction's output has beyond that."""
        if isinstance(output, list) and all(isinstance(each, str) for each in output):
            if not self.seen:
                pieces = [piece for piece in output if piece]
            else:
                rest = "".join(output)[self._length :]
                pieces = [rest] if rest else []
            for piece in pieces:
                self.seen += 1
                self._length += len(piece)
                yield _json(piece)
        elif isinstance(output, list):
            for item in output[self.seen :]:
                self.seen += 1
                yield _json(item)
        elif is_whole and output is not None and not self.seen:
            self.seen = 1
            yield _json(output)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _check_end(state: CallState, chunks: _Envelopes | _Texts) -> None:
    """Raise what a stream ended with, if it was not its end.

    gpuhub's own runner answers errors of the function as a chunk, so a prediction of it that failed
    was cut: it may have had an effect.
    """
    if state.phase is Phase.SUCCEEDED:
        return
    facts = {"call_id": str(state.ref), "provider": "replicate"}
    if state.phase is Phase.FAILED and isinstance(chunks, _Envelopes):
        raise OutcomeUnknown(
            f"the stream was cut after {chunks.seen} items: {state.detail or 'it failed'}",
            next_step="use the items received, or call again if running twice does no harm",
            **facts,
        )
    if state.error is not None:
        raise state.error
    kinds: dict[Phase, type[CallFailed]] = {
        Phase.CANCELLED: CallCancelled,
        Phase.TIMED_OUT: CallTimedOut,
    }
    raise kinds.get(state.phase, CallFailed)(
        f"the prediction ended as {state.phase.value}: {state.detail}".rstrip(": "),
        next_step="look at `gpuhub logs`; raise `timeout` if it needs longer",
        **facts,
    )


def _too_long(call: CallRef, options: CallOptions) -> CallTimedOut:
    return CallTimedOut(
        f"the stream did not end within {options.budget_s:g} s and is cancelled",
        cancel=CancelReceipt.PROVIDER_ACK.value,
        call_id=str(call),
        provider="replicate",
        next_step="give it more time: .with_options(timeout=…); a cold start counts too",
    )
