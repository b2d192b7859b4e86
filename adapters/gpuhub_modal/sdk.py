"""Modal's SDK: the only file that imports it, inside of functions.

Public names are used where there are any. Beyond them:

* ``_Client(server_url, …)``: the public constructors take the server from the environment only, and
  two workspaces in one process may have two.
* ``_stub``: see :mod:`gpuhub_modal.exchange`.
* ``OutputManager._set``: the log of an image's build, see :func:`build_log_to`.

Tests compare what is sent with the plain SDK, on the oldest and on the newest version supported.
"""

# ruff: noqa: SLF001 - see above
from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

from gpuhub.errors import AdapterNotInstalled

__all__ = [
    "build_log_to",
    "close_client",
    "connect",
    "downloaded",
    "event_loop",
    "function_by_id",
    "function_metadata",
    "handle_of",
    "make_client",
    "modal",
    "protobuf",
    "uploaded",
]

_FLOOR = (1, 6, 3)


def modal() -> Any:
    """The package.

    Raises:
        AdapterNotInstalled: It is not installed, or too old.
    """
    try:
        import modal as package
    except ImportError as error:
        raise _not_installed("needs the package modal, which is not installed") from error
    version = tuple(int(part) for part in package.__version__.split(".")[:3] if part.isdecimal())
    if version < _FLOOR:
        raise _not_installed(f"needs modal 1.6.3 or newer (found {package.__version__})")
    return package


def _not_installed(why: str) -> AdapterNotInstalled:
    return AdapterNotInstalled(
        f"the adapter for Modal {why}",
        provider="modal",
        next_step="install it: pip install 'gpuhub-sdk[modal]'",
    )


def protobuf() -> Any:
    """The messages of Modal's protocol."""
    return modal().client.api_pb2


def _synchronizer() -> Any:
    modal()
    from modal._utils.async_utils import synchronizer

    return synchronizer


def event_loop() -> Any:
    """The SDK's event loop, started if need be."""
    return _synchronizer()._get_loop(start=True)


# The client


def make_client(server_url: str, token: tuple[str, str]) -> Any:
    """Make a client for this very server; ``server_url`` empty takes the SDK's own."""
    package = modal()
    _keep_headers_out_of_logs()
    server = server_url or str(package.config.config["server_url"])
    return package.client._Client(server, protobuf().CLIENT_TYPE_CLIENT, token)


async def connect(client: Any) -> None:
    """Connect; the SDK tries for a minute."""
    await client._open()


def _keep_headers_out_of_logs() -> None:
    """Have hpack, which packs the headers of gRPC, not log the token where all is logged."""
    logger = logging.getLogger("hpack")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


async def close_client(client: Any) -> None:
    """Close it; its connections also where that is interrupted: the SDK leaves them open then."""
    try:
        await client.__aexit__(None, None, None)
    finally:
        manager = getattr(client, "_connection_manager", None)
        if manager is not None:
            manager.close()


def handle_of(implementation: Any) -> Any:
    """Give the public object that stands for one of the SDK's own."""
    return _synchronizer()._translate_out(implementation)


def function_metadata(handle: Any) -> tuple[str, bool, str | None]:
    """Give id, whether it streams, and web address of a function that was looked up."""
    found = _synchronizer()._translate_in(handle)
    return str(found.object_id), bool(found._is_generator), found._web_url or None


def function_by_id(client: Any, function_id: str) -> Any:
    """A function without a look-up: good for what needs its id only."""
    kind = modal()._functions._Function
    return handle_of(kind._new_hydrated(function_id, client, protobuf().FunctionHandleMetadata()))


# Large values


async def uploaded(payload: bytes, stub: Any) -> tuple[str, Any]:
    """Store a large input; gives its id and what the server wants to hear about it."""
    from modal._utils.blob_utils import blob_upload_with_results

    blob_id, results = await blob_upload_with_results(payload, stub)
    return str(blob_id), results


async def downloaded(blob_id: str, stub: Any) -> bytes:
    """Fetch a large output."""
    from modal._utils.blob_utils import blob_download

    return bytes(await blob_download(blob_id, stub))


# The log of a build


@contextlib.contextmanager
def build_log_to(tell: Callable[[str], None]) -> Iterator[None]:
    """Tell the lines of image builds, unless the user has the SDK print them.

    The SDK has one place for output in a process. Two deploys at a time: the first one's logger is
    told both.
    """
    from modal._output.manager import DisabledOutputManager, OutputManager

    class Told(DisabledOutputManager):  # type: ignore[misc]
        async def put_streaming_log(self, log: Any, prefix: str = "") -> None:
            del prefix
            for line in log.data.splitlines():
                if line.strip():
                    tell(line)

    before = OutputManager.get()
    if type(before) is not DisabledOutputManager:
        yield
        return
    OutputManager._set(Told())
    try:
        yield
    finally:
        OutputManager._set(before)
