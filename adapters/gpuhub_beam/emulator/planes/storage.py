"""Where presigned URLs lead to: the workspace's object storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuhub_beam.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_beam.emulator.objects import Objects
    from gpuhub_beam.emulator.site import Site

__all__ = ["Storage"]


class Storage:
    """S3, as far as uploads go.

    Args:
        site: What all parts share.
        objects: What is stored.
    """

    def __init__(self, site: Site, objects: Objects) -> None:
        self._site = site
        self._objects = objects

    async def put(self, request: Request, path: str) -> Answer:
        """``PUT`` of an object, or of a part of one."""
        with self._site.change():
            signature = request.asked("X-Amz-Signature")
            etag = self._objects.put(path, signature, request.headers, request.body)
        return Answer(200, headers={"ETag": etag}, content_type="application/xml")
