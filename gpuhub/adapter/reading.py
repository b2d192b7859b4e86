"""Reading the JSON answers of a provider, and writing what it takes as time. Pure.

An adapter may use it, nothing asks it to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from gpuhub.errors import MalformedResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuhub.plan import Response

__all__ = ["Answers", "first_of", "rfc3339"]

StateT = TypeVar("StateT")


@dataclass(frozen=True, slots=True)
class Answers:
    """Takes answers for what the provider documents, and says so where they are not.

    Attributes:
        provider: Name of the adapter, such as ``"runpod"``.
        title: The provider's name as it writes it, such as ``"RunPod"``.
        speaker: Who answers, for the errors.
    """

    provider: str
    title: str
    speaker: str = "the API"

    def document(self, response: Response, *, sent: str = "") -> dict[str, Any]:
        """Give an answer as a JSON object.

        Args:
            response: The answer.
            sent: What was asked, for the error. Default: it does not say.

        Raises:
            MalformedResponse: It is no JSON object.
        """
        try:
            found = response.json()
        except MalformedResponse as error:
            error.provider = self.provider
            raise
        if isinstance(found, dict):
            return found
        answer = f"the answer to {sent}" if sent else "the answer"
        raise self.malformed(f"{answer} is no JSON object", response.status)

    def member(self, found: Mapping[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:
        """Give a member of an answer, which must be there and of that type; no bool is an int.

        Raises:
            MalformedResponse: It is missing or of another type.
        """
        value = found.get(name)
        if isinstance(value, kind) and not (isinstance(value, bool) and kind is int):
            return value
        names = ", ".join(map(str, found))
        raise self.malformed(f"the answer has no proper {name!r} (it has: {names})")

    def known(self, states: Mapping[str, StateT], state: str, of: str) -> StateT:
        """Give what a state of the provider's means.

        Args:
            states: All that it documents.
            state: The one it reports.
            of: What is in it, such as ``"the job abc-1"``.

        Raises:
            MalformedResponse: It is none of them.
        """
        if state in states:
            return states[state]
        raise MalformedResponse(
            f"{self.title} reports {of} in the unknown state {state!r}",
            provider=self.provider,
            accepted=None,
            next_step=f"update gpuhub-sdk; {self.title}'s own pages show how it is",
        )

    def malformed(self, message: str, status: int | None = None) -> MalformedResponse:
        """Make the error for an answer that is not what the provider documents."""
        return MalformedResponse(
            f"{self.title}: {message}",
            provider=self.provider,
            status=status,
            accepted=None,
            next_step=f"try again; report it if it stays so: {self.speaker} may have changed",
        )


def first_of(found: Mapping[str, Any], *names: str) -> str:
    """Give the first of these members, or headers, that says something; empty: none does."""
    return str(next((value for name in names if (value := found.get(name))), ""))


def rfc3339(seconds: float) -> str:
    """Give seconds since the epoch as ``2026-11-24T09:30:00.000000Z``."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
