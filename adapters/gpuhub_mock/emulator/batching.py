"""Makes one run of several calls: each argument becomes a list, and the result is one."""

from __future__ import annotations

from collections.abc import Sequence

from gpuhub.worker.wire import ERROR, RESULT, dumps, loads
from gpuhub_mock.emulator.refusals import Refusal

__all__ = ["merged", "split"]


def merged(payloads: Sequence[bytes]) -> bytes:
    """Give the arguments of a batch: ``{"x": 1}`` and ``{"x": 2}`` make ``{"x": [1, 2]}``.

    Raises:
        Refusal: The calls do not name the same arguments.
    """
    calls = [loads(payload) for payload in payloads]
    names = set(calls[0]) if isinstance(calls[0], dict) else set()
    if any(not isinstance(call, dict) or set(call) != names for call in calls):
        raise Refusal(422, "bad_request", "calls of one batch must name the same arguments")
    return dumps({name: [call[name] for call in calls] for name in calls[0]})


def split(output: bytes, count: int) -> list[bytes]:
    """Give each call its item of the result; an error is everyone's.

    Raises:
        Refusal: The function did not give one result for each call.
    """
    envelope = loads(output)
    if ERROR in envelope:
        return [output] * count
    results = envelope[RESULT]
    if not isinstance(results, list) or len(results) != count:
        got = f"{len(results)} items" if isinstance(results, list) else type(results).__name__
        raise Refusal(
            422, "bad_batch", f"a batched function gives a list of {count} results, not {got}"
        )
    return [dumps({RESULT: result}) for result in results]
