"""The model class that Truss loads: gpuhub's worker behind Truss's server. Written by gpuhub.

The function and its project are in ``packages/gpuhub_bundle/app``. Truss looks at the annotation of
``predict``, so it must not become text here.
"""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response


def _bundle() -> Path:
    for folder in ["/packages", *sys.path]:
        if Path(folder, "gpuhub_bundle", "worker.json").is_file():
            return Path(folder, "gpuhub_bundle")
    raise FileNotFoundError("packages/gpuhub_bundle is not in this image: push the whole folder")


BUNDLE = _bundle()
sys.path.insert(0, str(BUNDLE / "runtime"))

from gpuhub_baseten.entry import Worker  # noqa: E402 - it is in the bundle


class Model:
    """One deployed function."""

    def __init__(self, **kwargs: Any) -> None:
        self._worker = Worker(BUNDLE, kwargs["secrets"])

    def load(self) -> None:
        """Import the function's module, and run its ``setup()``."""
        self._worker.load()

    def is_healthy(self) -> bool:
        """Whether calls can still be taken."""
        return self._worker.is_healthy()

    async def predict(self, request: Request) -> "Response | AsyncIterator[bytes]":
        """Answer a JSON object of named arguments with an envelope, or with a line for each.

        A stream is given to Truss as a generator: of a ``StreamingResponse`` whose caller left,
        Truss keeps the slot.
        """
        body = await request.body()
        if self._worker.is_generator:
            return self._worker.stream(body, request.is_disconnected)
        answer = await self._worker.answer(body, request.is_disconnected)
        return Response(answer, media_type="application/json")
