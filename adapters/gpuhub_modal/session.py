"""One client of Modal's, as blocking methods that raise errors of gpuhub's."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from gpuhub.errors import ProviderUnavailable
from gpuhub_modal import exchange
from gpuhub_modal.errors import malformed, named_errors
from gpuhub_modal.facts import AppFacts, CallRequest, FunctionFacts, FunctionState, Output
from gpuhub_modal.loop import iterated, waited, within
from gpuhub_modal.sdk import (
    build_log_to,
    close_client,
    connect,
    function_by_id,
    function_metadata,
    handle_of,
    make_client,
    modal,
)

if TYPE_CHECKING:
    from datetime import datetime

    from gpuhub.settings import ProviderSettings

__all__ = ["Session"]

T = TypeVar("T")

_CONNECT_S = 10.0

_log = logging.getLogger("gpuhub")


class Session:
    """A server and a token. Connected when it is first needed, and again after a fork.

    Args:
        settings: Server, environment, token.
    """

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self._client: Any = None
        self._process = 0
        self._is_closed = False
        self._lock = threading.Lock()

    @property
    def environment(self) -> str | None:
        """Name of the Modal environment; ``None``: the SDK's default."""
        name: str | None = self._settings.get("environment")
        return name

    @property
    def server_url(self) -> str:
        """Where requests go; empty: the SDK's own address."""
        return str(self._settings.get("server_url", ""))

    def token(self) -> tuple[str, str]:
        """The token.

        Raises:
            MissingCredentials: It is not set.
        """
        found = [self._settings.credential(name) for name in ("token_id", "token_secret")]
        return found[0].get_secret_value(), found[1].get_secret_value()

    def close(self) -> None:
        """Close the connection; one that is being made on another thread is closed by that."""
        self._is_closed = True
        client, self._client = self._client, None
        if client is not None and self._process == os.getpid():
            with contextlib.suppress(Exception):
                waited(close_client(client))

    # Apps and functions

    def app(self, name: str) -> AppFacts:
        """Look a deployed app up.

        Raises:
            NotFound: There is none.
        """
        return self._ask(lambda client: self._facts(client, name))

    async def _facts(self, client: Any, name: str) -> AppFacts:
        app = await self._app(client, name)
        info = await app.info.aio()
        if not info.app_id:
            raise malformed(f"the answer about the app {name!r} has no id")
        return AppFacts(
            app_id=info.app_id,
            state=info.lifecycle.state.value,
            version=info.lifecycle.version or 0,
            functions=dict(info.functions),
            tags=await app.get_tags.aio(),
        )

    async def _app(self, client: Any, name: str) -> Any:
        return await modal().App.lookup.aio(
            name, client=handle_of(client), environment_name=self.environment
        )

    def set_tags(self, name: str, tags: dict[str, str]) -> None:
        """Replace an app's tags."""

        async def replace(client: Any) -> None:
            await (await self._app(client, name)).set_tags.aio(tags)

        self._ask(replace)

    def stop(self, name: str) -> None:
        """Stop an app for good."""

        async def stop(client: Any) -> None:
            await (await self._app(client, name)).stop.aio()

        self._ask(stop)

    def deploy(self, app: Any, name: str, *, tag: str, strategy: str) -> None:
        """Deploy an app that :func:`gpuhub_modal.building.make_app` made.

        Raises:
            Exception: The SDK's own error of a failed build, beside errors of gpuhub's.
        """

        async def deploy(client: Any) -> None:
            await app.deploy.aio(
                name=name,
                environment_name=self.environment,
                tag=tag,
                client=handle_of(client),
                strategy=strategy,
            )

        with build_log_to(partial(_log.info, "%s on modal: build: %s", name)):
            self._ask(deploy)

    def build_log(self, image_id: str) -> list[str]:
        """Give the lines of an image's build; none when Modal does not keep them."""
        with contextlib.suppress(Exception):  # the failed build matters more than its log
            text = self._ask(lambda client: exchange.build_log(client, image_id))
            return [line for line in text.splitlines() if line.strip()]
        return []

    def function(self, app: str, name: str) -> FunctionFacts:
        """Look a function up by name.

        Raises:
            NotFound: There is none.
        """

        async def look(client: Any) -> FunctionFacts:
            handle = modal().Function.from_name(
                app, name, client=handle_of(client), environment_name=self.environment
            )
            await handle.hydrate.aio()
            function_id, is_generator, web_url = function_metadata(handle)
            return FunctionFacts(function_id, is_generator, web_url)

        return self._ask(look)

    def state(self, function_id: str) -> FunctionState:
        """Ask for a function's workers and limits."""

        async def look(client: Any) -> FunctionState:
            handle = function_by_id(client, function_id)
            stats = await handle.get_current_stats.aio()
            limits = await handle.autoscaler.settings.aio()
            return FunctionState(
                backlog=stats.backlog,
                running=stats.num_running_inputs,
                runners=stats.num_total_runners,
                settings={
                    name: getattr(limits, name, None)
                    for name in (
                        *("min_containers", "max_containers"),
                        *("buffer_containers", "scaledown_window"),
                    )
                },
            )

        return self._ask(look)

    def scale(self, function_id: str, limits: dict[str, int]) -> None:
        """Override a function's limits until the next deploy."""

        async def override(client: Any) -> None:
            await function_by_id(client, function_id).autoscaler.update.aio(**limits)

        self._ask(override)

    # Calls

    def start(self, request: CallRequest) -> str:
        """Send one call, once, and give its id."""
        return self._ask(lambda client: exchange.start(client, request))

    def output(self, call_id: str, wait_s: float) -> Output:
        """Ask for a call's end once, waiting for it up to so many seconds."""
        return self._ask(lambda client: exchange.output(client, call_id, wait_s))

    def has_begun(self, call_id: str) -> bool:
        """Whether a container has a call that has not ended."""
        return self._ask(lambda client: exchange.has_begun(client, call_id))

    def cancel(self, call_id: str) -> None:
        """Cancel a call."""
        self._ask(lambda client: exchange.cancel(client, call_id))

    def items(self, call_id: str, is_last: Callable[[bytes], bool]) -> Iterator[bytes | Output]:
        """Yield a stream's items, up to the one that says it is the last; else cancel the call."""
        ended = False
        try:
            client = self._connected()
            for item in iterated(lambda: exchange.items(client, call_id)):
                ended = isinstance(item, Output) or is_last(item)
                yield item
                if ended:
                    return
            ended = True
        finally:
            if not ended:
                with contextlib.suppress(Exception):
                    self.cancel(call_id)

    # Logs

    def logs(self, name: str, since: datetime, until: datetime | None) -> Iterator[Any]:
        """Yield an app's log entries, oldest first; without ``until`` all new ones from now."""
        client = self._connected()

        async def entries() -> AsyncIterator[Any]:
            logs = (await self._app(client, name)).logs
            past = until is not None
            found = logs.fetch.aio(since=since, until=until) if past else logs.stream.aio()
            async for entry in found:
                yield entry

        return iterated(entries)

    # The client

    def _ask(self, question: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        client = self._connected()
        with named_errors():
            return waited(question(client))

    def _connected(self) -> Any:
        with self._lock:
            is_usable = self._client is not None and self._process == os.getpid()
            if not (is_usable or self._is_closed):
                self._client, self._process = None, os.getpid()
                # It keeps the client itself: an interrupt may come just when it is there.
                waited(self._open())
            client = self._client
        if self._is_closed or client is None:
            self.close()
            raise ProviderUnavailable(
                "Modal: the workspace was closed meanwhile",
                provider="modal",
                accepted=False,
                next_step="use a new workspace",
            )
        return client

    async def _open(self) -> None:
        client = make_client(self.server_url, self.token())
        try:
            await within(_CONNECT_S, connect(client))
        except BaseException as error:
            with contextlib.suppress(Exception):
                await close_client(client)
            if not isinstance(error, Exception):
                raise
            raise ProviderUnavailable(
                f"Modal: no connection to {client.server_url} within {_CONNECT_S:g} s",
                provider="modal",
                accepted=False,
                next_step="check server_url and the network",
            ) from error
        self._client = client
