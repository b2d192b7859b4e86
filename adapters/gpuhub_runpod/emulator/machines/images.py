"""Images in a registry on loopback: their layers unpacked, so that their content can be run."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpuhub.testing.emulator.layers import unpack

__all__ = ["Image", "LoopbackImages", "on_loopback"]

_REFERENCE = re.compile(
    r"^(?P<host>(?:127\.0\.0\.1|localhost)(?::\d+)?)/(?P<name>[^@:]+)(?P<rest>.*)$"
)
_ACCEPTED = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


@dataclass(frozen=True)
class Image:
    """An image's content.

    Attributes:
        root: Folder that stands for ``/``.
        command: Entry point and command.
        env: Its variables.
    """

    root: Path
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    def here(self, text: str) -> str:
        """Give a path of the image as one of this machine; other text as it is."""
        parts = text.split(":")
        return ":".join(self._place(part) for part in parts)

    def _place(self, text: str) -> str:
        place = self.root / text.lstrip("/")
        return str(place) if text.startswith("/") and len(text) > 1 and place.exists() else text


def on_loopback(reference: str) -> bool:
    """Whether an image is in a registry on this machine."""
    return _REFERENCE.match(reference) is not None


class LoopbackImages:
    """Pulls images of registries on this machine.

    Args:
        folder: Where they are unpacked.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pulled: dict[str, Image] = {}

    def exists(self, reference: str) -> bool:
        """Whether the registry has it."""
        host, name, tag = _parts(reference)
        status, _ = _get(host, f"/v2/{name}/manifests/{tag}", method="HEAD")
        return status == 200

    def pull(self, reference: str) -> Image:
        """Give an image's content; pulled once.

        Raises:
            FileNotFoundError: The registry does not have it, or a part of it.
        """
        if reference not in self._pulled:
            self._pulled[reference] = self._pull(reference)
        return self._pulled[reference]

    def _pull(self, reference: str) -> Image:
        host, name, tag = _parts(reference)
        manifest = _json(host, f"/v2/{name}/manifests/{tag}")
        if "manifests" in manifest:
            digest = _linux(manifest["manifests"])
            manifest = _json(host, f"/v2/{name}/manifests/{digest}")
        config = _json(host, f"/v2/{name}/blobs/{manifest['config']['digest']}")
        root = self._folder / f"image-{len(self._pulled)}"
        root.mkdir(parents=True)
        for layer in manifest["layers"]:
            _, content = _get(host, f"/v2/{name}/blobs/{layer['digest']}")
            unpack(content, root)
        settings = config.get("config") or {}
        command = [*(settings.get("Entrypoint") or ()), *(settings.get("Cmd") or ())]
        env = dict(text.partition("=")[::2] for text in settings.get("Env") or ())
        return Image(root, tuple(command), env)


def _parts(reference: str) -> tuple[str, str, str]:
    match = _REFERENCE.match(reference)
    if match is None:
        raise FileNotFoundError(f"{reference} is in no registry on this machine")
    _, mark, digest = match["rest"].partition("@")
    tag = match["rest"].partition("@")[0].lstrip(":")
    return match["host"], match["name"], digest if mark else tag or "latest"


def _linux(manifests: list[Mapping[str, Any]]) -> str:
    for each in manifests:
        platform = each.get("platform") or {}
        if (platform.get("os"), platform.get("architecture")) == ("linux", "amd64"):
            return str(each["digest"])
    raise FileNotFoundError("the image is not for linux/amd64")


def _json(host: str, path: str) -> dict[str, Any]:
    status, content = _get(host, path)
    if status != 200:
        raise FileNotFoundError(f"{host}{path}: status {status}")
    return dict(json.loads(content))


def _get(host: str, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, timeout=30)
    try:
        connection.request(method, path, headers={"Accept": ", ".join(_ACCEPTED)})
        response = connection.getresponse()
        return response.status, response.read()
    except OSError:
        return 503, b""
    finally:
        connection.close()
