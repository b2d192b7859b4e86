"""Requests and answers of the emulator."""

from __future__ import annotations

from typing_extensions import override

from gpuhub.testing.emulator import web
from gpuhub.testing.emulator.web import Answer
from gpuhub_replicate.emulator.problems import Problem

__all__ = ["Answer", "Request"]


class Request(web.Request):
    """One request, refused in Replicate's form where its body is no JSON."""

    @override
    def refusal(self, words: str) -> Problem:
        return Problem(400, words)
