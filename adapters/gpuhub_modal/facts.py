"""What Modal says about apps, functions and calls, free of the SDK's types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["AppFacts", "CallRequest", "FunctionFacts", "FunctionState", "Output"]


@dataclass(frozen=True, slots=True)
class AppFacts:
    """A deployed app.

    Attributes:
        app_id: Its id, ``ap-…``.
        state: ``deployed``, ``stopped``, ``initializing``, …
        version: Number of the version that serves; 0 when there is none.
        functions: Name -> id, ``fu-…``.
        tags: The app's tags.
    """

    app_id: str
    state: str
    version: int
    functions: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """A function by its name.

    Attributes:
        function_id: Its id.
        is_generator: Whether calling it gives a stream.
        web_url: Its address, for a web function.
    """

    function_id: str
    is_generator: bool
    web_url: str | None


@dataclass(frozen=True, slots=True)
class FunctionState:
    """A function's workers and limits now.

    Attributes:
        backlog: Inputs that wait.
        running: Inputs that run.
        runners: Containers, also those that start.
        settings: Limits in force, in Modal's words.
    """

    backlog: int
    running: int
    runners: int
    settings: Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class CallRequest:
    """One call to send.

    Attributes:
        function_id: Which function.
        arguments: Pickled, see :mod:`gpuhub_modal.plain`.
        kind: ``sync`` (waited for), ``async`` (kept for 7 days) or ``stream``.
        key: The same key is the same call, however often it is sent.
    """

    function_id: str
    arguments: bytes
    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class Output:
    """What Modal says about a call.

    Attributes:
        status: Name of ``GenericResult.GenericStatus`` without its prefix, such as ``SUCCESS``;
            empty while the call has not ended.
        data: The pickled result, or exception.
        format: ``PICKLE``, ``CBOR``, ``GENERATOR_DONE``, …
        exception: Text of the exception.
        traceback: Its traceback.
        items: Items of an ended stream; ``None`` for other calls.
        is_known: Whether Modal still has it: its results are kept for 7 days.
    """

    status: str = ""
    data: bytes = b""
    format: str = ""
    exception: str = ""
    traceback: str = ""
    items: int | None = None
    is_known: bool = True
