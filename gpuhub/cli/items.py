"""Items of a map out of a file of JSON lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.errors import SpecError

if TYPE_CHECKING:
    from gpuhub.codec import ChunkKind, WireCodec

__all__ = ["CountedLines", "Lines", "NamedItems"]


class Lines:
    """The named arguments of each line, read as they are asked for; blank lines are passed over.

    Args:
        source: File of JSON lines; ``-`` is standard input.
        argument: Parameter that every line is the value of.
        only: Parameter that a line which is no object is the value of.
    """

    def __init__(self, source: Path, argument: str | None = None, only: str | None = None) -> None:
        self._source = source
        self._argument = argument
        self._only = only

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Give the arguments of one line after the other.

        Raises:
            SpecError: A line is no JSON, or no object of named arguments; names the line.
        """
        for number, line in enumerate(self._lines(), 1):
            if line.strip():
                yield self._arguments(number, line)

    def _lines(self) -> Iterator[str]:
        if str(self._source) == "-":
            yield from sys.stdin
            return
        with self._source.open(encoding="utf-8") as file:
            yield from file

    def _arguments(self, number: int, line: str) -> dict[str, Any]:
        try:
            value = json.loads(line)
        except ValueError as error:
            raise SpecError(
                f"{self._source}, line {number} is not JSON: {error}",
                next_step="write one JSON value on each line",
            ) from None
        if self._argument:
            return {self._argument: value}
        if isinstance(value, dict):
            return value
        if self._only:
            return {self._only: value}
        raise SpecError(
            f"{self._source}, line {number} is a {type(value).__name__}, no object",
            next_step='write {"texts": …}, or name the parameter with --argument',
        )


class CountedLines(Lines):
    """Lines of a file, which can be read twice: first for their number, which a bar shows."""

    def __len__(self) -> int:
        """Give the number of lines that are not blank."""
        return sum(1 for line in self._lines() if line.strip())


class NamedItems:
    """A codec whose one positional argument is the object of named arguments."""

    def __init__(self, inner: WireCodec) -> None:
        self._inner = inner

    def encode_call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
        """Encode the first positional argument as the named ones."""
        named = dict(args[0]) if args else {}
        return self._inner.encode_call((), {**named, **kwargs})

    def decode_result(self, payload: bytes) -> Any:
        """As the inner codec."""
        return self._inner.decode_result(payload)

    def decode_chunk(self, payload: bytes) -> tuple[ChunkKind, Any]:
        """As the inner codec."""
        return self._inner.decode_chunk(payload)
