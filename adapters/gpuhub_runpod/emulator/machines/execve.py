"""What Linux allows in the arguments and environment of a new process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["execve_problem"]

STRING_LIMIT = 131_072
"""One argument, or ``NAME=value``, with its end: 32 pages."""
TOTAL_LIMIT = 2_097_152
"""All of them and their pointers: a quarter of the usual stack of 8 MiB."""

_POINTER = 8


def execve_problem(command: Sequence[str], env: Mapping[str, str]) -> str:
    """Say why the system would not start a process; empty when it would."""
    strings = [*command, *(f"{name}={value}" for name, value in env.items())]
    sizes = [len(text.encode()) + 1 for text in strings]
    if max(sizes, default=0) > STRING_LIMIT:
        return "argument list too long: one string is above 131,071 bytes"
    if sum(sizes) + _POINTER * len(sizes) > TOTAL_LIMIT:
        return "argument list too long: all together are above 2 MiB"
    return ""
