"""gpuhub's envelopes inside of Replicate's outputs. Pure.

A function's output is one JSON text, a generator's a list of lines. Event streams may put lines
together or apart, so that documents are found by their own ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["Documents", "documents_in", "whole_envelope"]

_DECODER = json.JSONDecoder()
_RESULT, _ERROR, _END = "result", "gpuhub_error", "gpuhub_end"
"""Members of gpuhub's envelopes, see ``gpuhub.worker.wire``."""
_BEGINS = f'{{"{_RESULT}":'


class Documents:
    """Finds JSON objects in text that comes in pieces."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, piece: str) -> Iterator[str]:
        """Give the texts of the objects that a piece completes."""
        self._rest += piece
        # Else it cannot be complete: large items in many pieces would be parsed again and again.
        if not (piece.endswith("\n") or piece.rstrip().endswith("}") or "\n" in piece):
            return
        position, text = 0, self._rest
        try:
            while True:
                position = _skip_space(text, position)
                _, end = _DECODER.raw_decode(text, position)
                yield text[position:end]
                position = end
        except ValueError:
            self._rest = text[position:]


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def documents_in(output: Any) -> list[str]:
    """Give the envelopes of an output: of a text, or of a list of texts."""
    pieces = output if isinstance(output, list) else [output]
    if not all(isinstance(piece, str) for piece in pieces):
        return []
    found = list(Documents().feed("".join(pieces) + "\n"))
    return found if all(_is_envelope(each) for each in found) else []


def whole_envelope(output: Any) -> bytes | None:
    """Give the one envelope of an output; a generator's items as a list.

    Returns:
        ``None`` when the output is none of gpuhub's.
    """
    if isinstance(output, str) and output.startswith(_BEGINS) and output.endswith("}"):
        return output.encode()  # parsed by its reader
    found = documents_in(output)
    if isinstance(output, str):
        return found[0].encode() if len(found) == 1 else None
    if not isinstance(output, list) or (output and not found):
        return None
    items = []
    for text in found:
        envelope = json.loads(text)
        if _ERROR in envelope:
            return text.encode()
        if _RESULT in envelope:
            items.append(envelope[_RESULT])
    return json.dumps({_RESULT: items}, ensure_ascii=False).encode()


def _is_envelope(text: str) -> bool:
    envelope = json.loads(text)
    return isinstance(envelope, dict) and set(envelope) <= {_RESULT, _ERROR, _END}
