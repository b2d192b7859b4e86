"""Which method answers which RPC, and what the RPC means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from gpuhub.testing.emulator import Fault
    from gpuhub_modal.emulator.containers import Container

__all__ = ["Asked", "Caller", "Route", "routes_of", "rpc"]

Caller = Literal["client", "container", "anyone"]
Handler = TypeVar("Handler", bound=Callable[..., Any])

_MARK = "_rpc_of_modal"


@dataclass(frozen=True, slots=True)
class Route:
    """One RPC.

    Attributes:
        name: As in Modal's service.
        operation: What it means to a client, as in ``Emulator.requests``.
        caller: Who calls it.
        handle: Gives the answer, or yields answers.
    """

    name: str
    operation: str
    caller: Caller
    handle: Callable[..., Any]


@dataclass(slots=True)
class Asked:
    """One RPC under way.

    Attributes:
        message: The request.
        headers: Metadata, names in lower case.
        container: Who asks, if it is a container.
        fault: What is to go wrong with it, if the handler has to see to that.
    """

    message: Any
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    container: Container | None = None
    fault: Fault | None = None


def rpc(name: str, operation: str, *, caller: Caller = "client") -> Callable[[Handler], Handler]:
    """Let a method answer an RPC.

    Args:
        name: As in Modal's service.
        operation: What it means to a client.
        caller: Who calls it.
    """

    def mark(handler: Handler) -> Handler:
        setattr(handler, _MARK, (name, operation, caller))
        return handler

    return mark


def routes_of(planes: Iterable[object]) -> Iterator[Route]:
    """Find the methods of objects that answer RPCs."""
    for plane in planes:
        for attribute in dir(type(plane)):
            marked: tuple[str, str, Caller] | None = getattr(
                getattr(type(plane), attribute), _MARK, None
            )
            if marked is not None:
                name, operation, caller = marked
                yield Route(name, operation, caller, getattr(plane, attribute))
