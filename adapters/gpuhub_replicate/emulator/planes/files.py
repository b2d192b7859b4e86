"""``/v1/files``, links to outputs, and what Cog's servers tell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gpuhub_replicate.emulator.files import File, parse_form
from gpuhub_replicate.emulator.machines.coglet import CogletMachine
from gpuhub_replicate.emulator.paging import paged
from gpuhub_replicate.emulator.problems import Problem, missing
from gpuhub_replicate.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.account import Account

__all__ = ["FilePlane"]


class FilePlane:
    """Handlers.

    Args:
        account: Whose.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._site = account.site
        self._files = account.files

    async def all(self, request: Request) -> Answer:
        """``GET /v1/files``."""
        with self._site.change():
            files = list(reversed(self._files.uploads.values()))
            return paged(request, self._site.url, files, lambda each: each.shown(self._site.url))

    async def create(self, request: Request) -> Answer:
        """``POST /v1/files``: a form with ``content``, and ``filename``, ``type``, ``metadata``."""
        try:
            form = parse_form(request.body, request.headers.get("content-type", ""))
            name, kind, content = form["content"]
            texts = {field: part[2].decode() for field, part in form.items() if field != "content"}
            metadata = json.loads(texts.get("metadata") or "{}")
        except (ValueError, KeyError) as error:
            words = f"- content: {error}\n"
            raise Problem(422, words, title="Invalid request body") from None
        if len(content) > self._site.options.file_bytes:
            raise Problem(413, f"Files may have {self._site.options.file_bytes} bytes at most.")
        with self._site.change():
            name, kind = texts.get("filename") or name, texts.get("type") or kind
            return Answer.of(
                self._files.add(name, kind, content, metadata).shown(self._site.url), 201
            )

    async def get(self, _request: Request, file_id: str) -> Answer:
        """``GET /v1/files/{id}``."""
        with self._site.change():
            return Answer.of(self._file(file_id).shown(self._site.url))

    async def delete(self, _request: Request, file_id: str) -> Answer:
        """``DELETE /v1/files/{id}``."""
        with self._site.change():
            del self._files.uploads[self._file(file_id).id]
            return Answer(204)

    async def download(self, request: Request, file_id: str) -> Answer:
        """``GET /v1/files/{id}/download``, by a signed link."""
        with self._site.change():
            file = self._file(file_id)
            if request.query.get("signature") != self._files.signature(file_id):
                raise Problem(403, "The signature of the link is wrong.")
            return Answer(200, file.content, {}, file.content_type)

    async def deliver(self, _request: Request, path: str) -> Answer:
        """``GET https://replicate.delivery/…``: a file that a prediction gave."""
        with self._site.change():
            delivery = self._files.deliveries.get(path)
            if delivery is None:
                raise missing("The file does not exist, or its link has expired.")
            return Answer(200, delivery.content, {}, delivery.content_type)

    async def told(self, request: Request, worker_id: str) -> Answer:
        """Take a webhook of Cog's own server."""
        machine = self._account.machines.get(worker_id)
        if isinstance(machine, CogletMachine):
            machine.told(request.json())
        return Answer(204)

    def _file(self, file_id: str) -> File:
        file = self._files.uploads.get(file_id)
        if file is None:
            raise missing()
        return file
