"""Files that models put out: Replicate keeps them for one hour, at a URL.

"Output files" of Replicate's documentation, read 2026-11-20. A result holds the URLs;
:func:`output_files` makes them readable, and the setting ``output_folder`` has them saved as soon
as a call ended.
"""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from gpuhub.errors import ProviderError
from gpuhub.plan import Request, Retry

if TYPE_CHECKING:
    from os import PathLike

    from gpuhub.adapter import Io

__all__ = ["OutputFile", "is_output", "output_files", "saved"]

_log = logging.getLogger("gpuhub")
_DOMAIN = "replicate.delivery"
_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file of a result, fetched when it is read.

    Attributes:
        url: Where it is, for an hour after the call.
    """

    url: str

    @property
    def name(self) -> str:
        """Its file name."""
        return _name(self.url)

    def read(self, timeout: float = _SECONDS) -> bytes:
        """Fetch the content. Blocks.

        Args:
            timeout: Seconds.

        Raises:
            OSError: It is gone, or cannot be reached.
        """
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise OSError(f"{self.url[:60]} is no address of a file")
        with urllib.request.urlopen(self.url, timeout=timeout) as answer:  # noqa: S310 - checked
            content: bytes = answer.read()
        return content

    def save(self, path: str | PathLike[str]) -> Path:
        """Fetch the content into a file, or into a folder under its own name. Blocks.

        Raises:
            OSError: It is gone, or cannot be written.
        """
        target = Path(path)
        if target.is_dir():
            target = target / self.name
        target.write_bytes(self.read())
        return target


def output_files(result: Any) -> Any:
    """Give a result with an :class:`OutputFile` in the place of every URL of a file."""
    return _mapped(result, lambda url: OutputFile(url) if is_output(url) else url)


def is_output(text: str, base: str = "") -> bool:
    """Whether a text is the URL of an output.

    Args:
        text: Any text.
        base: Base URL of outputs beside Replicate's own, such as an emulator's.
    """
    if base and text.startswith(f"{base.rstrip('/')}/"):
        return True
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    host = parts.hostname or ""
    return parts.scheme == "https" and (host == _DOMAIN or host.endswith(f".{_DOMAIN}"))


async def saved(io: Io, result: Any, folder: Path, prefix: str, base: str) -> Any:
    """Fetch all files of a result into a folder; give it with their paths.

    One that cannot be fetched stays a URL: the call has succeeded nevertheless.

    Args:
        io: The engine's.
        result: JSON value.
        folder: Made if need be.
        prefix: Of the names there, such as the call's id.
        base: Base URL of outputs.
    """
    urls: dict[str, str] = {}
    _mapped(result, lambda text: urls.setdefault(text, text) if is_output(text, base) else text)
    for number, url in enumerate(urls):
        target = folder / f"{prefix}-{number}-{_name(url)}"
        try:
            answer = await io.send(Request("GET", url, origin="", retry=Retry.SAFE))
            await io.run(_write, target, answer.body)
            urls[url] = str(target)
        except (ProviderError, OSError) as error:
            _log.warning("replicate: the output %s was not saved: %s", _name(url), error)
    return _mapped(result, lambda text: urls.get(text, text))


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def _name(url: str) -> str:
    name = unquote(urlsplit(url).path).replace("\\", "/").rpartition("/")[2]
    return name.strip(". ") or "output"


def _mapped(value: Any, change: Callable[[str], Any]) -> Any:
    """Give a JSON value with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_mapped(each, change) for each in value]
    if isinstance(value, dict):
        return {name: _mapped(each, change) for name, each in value.items()}
    return value
