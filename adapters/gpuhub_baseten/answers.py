"""What a model answers, as the seam wants it: one envelope, or a chunk for each item. Pure."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gpuhub.errors import MalformedResponse

if TYPE_CHECKING:
    from gpuhub.plan import Response

__all__ = ["StreamReader", "output_of", "says_timed_out"]

RESULT, ERROR, END = "result", "gpuhub_error", "gpuhub_end"
"""Members of gpuhub's envelopes, see ``gpuhub.worker.wire``."""
_STARTS = (b'{"result":', b'{"gpuhub_error":')
_LONGEST_ERROR = 500_000


def output_of(response: Response, *, is_ours: bool) -> bytes:
    """Give the output of a call that was answered with 200.

    Args:
        response: The answer.
        is_ours: Whether it comes from gpuhub's worker: then it must be an envelope.

    Raises:
        MalformedResponse: It is a proxy's page, or a stream that broke off.
    """
    body = response.body
    if not is_ours:
        return _as_json(response)
    if body.startswith(_STARTS) and body.endswith(b"}"):
        return body
    if body.startswith(b"\n"):
        return _collected(body)
    if _is_envelope(body):
        return body
    raise _no_envelope(body, response.status)


def says_timed_out(output: bytes) -> bool:
    """Whether gpuhub's worker ended the call at its time limit."""
    if not output.startswith(_STARTS[1][:15]) or len(output) > _LONGEST_ERROR:
        return False
    problem = json.loads(output).get(ERROR)
    return isinstance(problem, dict) and problem.get("type") == "gpuhub.CallTimedOut"


class StreamReader:
    """Takes the bytes of an answer as they come, and gives chunks.

    gpuhub's worker begins a stream with an empty line and ends each envelope with a line end; what
    begins otherwise is the single answer of a function, or the words of a model of somebody else.

    Args:
        is_ours: Whether it comes from gpuhub's worker.
    """

    def __init__(self, *, is_ours: bool) -> None:
        self._is_ours = is_ours
        self._is_stream = False
        self._rest = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take some bytes and give the chunks that are complete with them."""
        if not self._is_ours:
            if text := self._decoder.decode(data):
                yield json.dumps(text, ensure_ascii=False).encode()
            return
        if not self._is_stream and not self._rest and data.startswith(b"\n"):
            self._is_stream = True
        self._rest += data
        if self._is_stream:
            *lines, self._rest = self._rest.split(b"\n")
            yield from filter(None, lines)

    def end(self) -> Iterator[bytes]:
        """Give what is left at the end of the answer.

        Raises:
            MalformedResponse: It is no envelope.
        """
        if self._is_stream or not self._is_ours or not self._rest:
            return
        if not _is_envelope(self._rest):
            raise _no_envelope(self._rest, 200)
        yield self._rest
        if RESULT in json.loads(self._rest):
            yield json.dumps({END: {"items": 1, "wire": 1}}).encode()


def _collected(body: bytes) -> bytes:
    """Give the items of a stream as one list, or the error that it ended with."""
    items: list[Any] = []
    for line in filter(None, body.split(b"\n")):
        envelope = json.loads(line)
        if ERROR in envelope:
            return line
        if END in envelope:
            return json.dumps({RESULT: items}, ensure_ascii=False).encode()
        items.append(envelope.get(RESULT))
    raise MalformedResponse(
        f"the stream broke off after {len(items)} items",
        provider="baseten",
        accepted=None,
        next_step="look at `gpuhub logs`",
    )


def _is_envelope(body: bytes) -> bool:
    try:
        found = json.loads(body)
    except ValueError:
        return False
    return isinstance(found, dict) and len(found) == 1 and not {RESULT, ERROR}.isdisjoint(found)


def _as_json(response: Response) -> bytes:
    """Give the answer of somebody else's model: JSON as it is, text as a JSON text."""
    try:
        response.json()
    except MalformedResponse:
        if "html" in response.headers.get("content-type", ""):
            raise
        return json.dumps(response.body.decode("utf-8", "replace")).encode()
    return response.body


def _no_envelope(body: bytes, status: int) -> MalformedResponse:
    return MalformedResponse(
        f"the answer is none of gpuhub's worker; it begins {body[:60]!r}",
        provider="baseten",
        status=status,
        accepted=None,
        next_step="look at the deployment in Baseten's pages: was it replaced by another?",
    )
