"""The header with which a registry asks for a login."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Challenge", "read_challenges"]


# Between commas, but for those inside of quotes. Not urllib.request's: that loads the whole of ssl.
_PIECE = re.compile(r'(?:"(?:\\.|[^"\\])*"?|[^,"])+')


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in.

    Attributes:
        scheme: In lower case, such as ``"bearer"``.
        values: Its parameters, names in lower case.
    """

    scheme: str
    values: Mapping[str, str]


def read_challenges(header: str) -> list[Challenge]:
    """Read ``WWW-Authenticate``, which may hold several challenges; what is none is skipped."""
    found: list[tuple[str, dict[str, str]]] = []
    for piece in _PIECE.findall(header):
        head, equals, value = piece.partition("=")
        scheme, space, name = head.strip().rpartition(" ")
        if space or not equals:  # «Bearer realm=…», or a bare «Basic»
            found.append(((scheme or name).strip().lower(), {}))
        if equals and found:
            found[-1][1][name.lower()] = value.strip().strip('"')
    return [Challenge(scheme, values) for scheme, values in found]
