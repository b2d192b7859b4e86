"""The decorator above a class. mypy does not apply what a class decorator returns, pyright does."""

from __future__ import annotations

from typing import assert_type

import gpuhub


@gpuhub.function(gpu="L40S")
class Transcribe:
    """Give the text of a sound."""

    def __call__(self, audio: bytes) -> str:
        """Take one call."""
        return str(len(audio))


def classes() -> None:
    """A class is called as its ``__call__`` says."""
    assert_type(Transcribe.remote(b""), str)
    assert_type(Transcribe(b""), str)
    Transcribe.remote("text")  # expect-error: arg-type
