"""Requests and answers of the emulator."""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from gpuhub.testing.emulator import web
from gpuhub.testing.emulator.web import Answer
from gpuhub_baseten.emulator.problems import Problem

__all__ = ["Answer", "Request"]


class Request(web.Request):
    """One request, refused in Baseten's form where its body is no JSON."""

    @override
    def json(self) -> Any:
        """Read the body.

        Raises:
            Problem: 400, it is no JSON.
        """
        try:
            return super().json()
        except ValueError as error:
            raise Problem(400, str(error)) from None
