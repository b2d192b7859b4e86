"""Every error gpuhub raises, in one tree.

::

    GpuHubError
    ├── ConfigError                   the project's settings
    │   ├── UnknownProvider
    │   ├── AdapterNotInstalled
    │   └── MissingCredentials
    ├── SpecError                     what the function asks for
    │   ├── UnsupportedSetting
    │   └── UnknownGpu
    ├── ProviderError                 the provider's answer, or the lack of one
    │   ├── AuthFailed                401, 403
    │   ├── NotFound                  404
    │   ├── RateLimited               429, with ``retry_after``
    │   ├── QuotaExceeded             402, limits of the account
    │   ├── NoCapacity                no GPU of that kind now
    │   ├── PayloadTooLarge           413, or refused before sending
    │   ├── BadRequest                400, 409, 422
    │   ├── ProviderUnavailable       5xx, unreachable, timed out
    │   └── MalformedResponse         an answer that is not what the provider documents
    ├── JournalError                  the local journal cannot be read or written
    ├── DeployFailed                  with the tail of the build or start log
    ├── NotDeployed
    └── CallFailed                    one call of a deployed function
        ├── RemoteError               the user's function raised
        ├── CallTimedOut
        ├── CallCancelled
        ├── CallExpired               the provider no longer has the result
        └── OutcomeUnknown            it may or may not have run

No name shadows a builtin, so ``from gpuhub import *`` is harmless.
"""

from __future__ import annotations

from typing import Any, ClassVar

from typing_extensions import override

__all__ = [
    "AdapterNotInstalled",
    "AuthFailed",
    "BadRequest",
    "CallCancelled",
    "CallExpired",
    "CallFailed",
    "CallTimedOut",
    "ConfigError",
    "DeployFailed",
    "GpuHubError",
    "JournalError",
    "MalformedResponse",
    "MissingCredentials",
    "NoCapacity",
    "NotDeployed",
    "NotFound",
    "OutcomeUnknown",
    "PayloadTooLarge",
    "ProviderError",
    "ProviderUnavailable",
    "QuotaExceeded",
    "RateLimited",
    "RemoteError",
    "SpecError",
    "UnknownGpu",
    "UnknownProvider",
    "UnsupportedSetting",
]


class GpuHubError(Exception):
    """Base of every error in gpuhub.

    Args:
        message: What happened, naming the field and the value where there is one.
        next_step: What the reader can do about it, as one imperative sentence.
        provider: Name of the provider concerned, such as ``"runpod"``.
        status: HTTP status, where the provider answered over HTTP.
        code: The provider's own error code.
        request_id: The provider's id of the exchange, for its support.
    """

    exit_code: ClassVar[int] = 1
    """Exit code of the ``gpuhub`` command when it ends with this error."""

    def __init__(
        self,
        message: str,
        *,
        next_step: str = "",
        provider: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.provider = provider
        self.status = status
        self.code = code
        self.request_id = request_id

    @override
    def __str__(self) -> str:
        """Give the message, the provider's facts and the next step, a line each."""
        lines = [self.message]
        if facts := self._facts():
            lines.append(f"  ({facts})")
        if self.next_step:
            lines.append(f"  Next: {self.next_step}")
        return "\n".join(lines)

    def reword(self, message: str) -> None:
        """Change the message everywhere it is kept."""
        self.message = message
        self.args = (message,)

    def _facts(self) -> str:
        named = {
            "provider": self.provider,
            "status": self.status,
            "code": self.code,
            "request id": self.request_id,
        }
        return ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by state: subclasses have keyword-only arguments."""
        return _rebuild, (type(self), self.args, self.__dict__.copy())


def _rebuild(kind: type[GpuHubError], args: tuple[Any, ...], state: dict[str, Any]) -> GpuHubError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigError(GpuHubError):
    """The project's settings are wrong or incomplete."""

    exit_code = 2


class UnknownProvider(ConfigError):
    """No adapter of that name is registered."""


class AdapterNotInstalled(ConfigError):
    """The adapter, or an extra that it needs, is not installed."""


class MissingCredentials(ConfigError):
    """The provider needs a credential that is not set."""

    exit_code = 4


class SpecError(GpuHubError):
    """The function asks for something that cannot be."""

    exit_code = 2


class UnsupportedSetting(SpecError):
    """A setting of the function that the provider cannot honour.

    Attributes:
        fields: The spec fields concerned, such as ``("volumes", "schedule")``.
    """

    exit_code = 3

    def __init__(self, message: str, *, fields: tuple[str, ...] = (), **facts: Any) -> None:
        super().__init__(message, **facts)
        self.fields = fields


class UnknownGpu(SpecError):
    """A GPU name that is not in the catalogue, or that the provider does not have."""


class ProviderError(GpuHubError):
    """The provider refused, failed or did not answer.

    Attributes:
        accepted: ``False`` when the request certainly had no effect, ``None`` when that cannot
            be known (the connection dropped after sending, a 5xx): such a submit is never
            repeated by itself.
    """

    exit_code = 5

    def __init__(self, message: str, *, accepted: bool | None = False, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.accepted = accepted


class AuthFailed(ProviderError):
    """The credential was refused, or lacks a permission."""

    exit_code = 4


class NotFound(ProviderError):
    """The provider knows no such deployment, call or version."""


class RateLimited(ProviderError):
    """The provider asks to slow down.

    Attributes:
        retry_after: Seconds to wait before the next try, where the provider says so.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after


class QuotaExceeded(ProviderError):
    """A limit of the account: credit, number of workers, GPUs."""


class NoCapacity(ProviderError):
    """The provider has no free GPU of the kind now."""


class PayloadTooLarge(ProviderError):
    """Arguments or result exceed what the provider carries."""


class BadRequest(ProviderError):
    """The provider refused the content of a request."""


class ProviderUnavailable(ProviderError):
    """The provider is unreachable, failed or did not answer in time.

    Attributes:
        retry_after: Seconds to wait before the next try, where the provider says so.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after


class MalformedResponse(ProviderError):
    """An answer that is not what the provider documents."""


class JournalError(GpuHubError):
    """The local journal cannot be read or written: a full disk, a locked or damaged file."""

    exit_code = 6


class DeployFailed(GpuHubError):
    """The deployment did not become routable.

    Attributes:
        log_tail: The last lines of the build or start log, oldest first.
    """

    exit_code = 7

    def __init__(self, message: str, *, log_tail: tuple[str, ...] = (), **facts: Any) -> None:
        super().__init__(message, **facts)
        self.log_tail = log_tail

    @override
    def __str__(self) -> str:
        """Give the message followed by the log tail."""
        return "\n".join([super().__str__(), *(f"  | {line}" for line in self.log_tail)])


class NotDeployed(GpuHubError):
    """The function has no deployment on the configured provider."""

    exit_code = 8


class CallFailed(GpuHubError):
    """One call of a deployed function did not give a result.

    Attributes:
        call_id: Text form of the call, ``provider://deployment/call-id``, when it got one.
    """

    exit_code = 9

    def __init__(self, message: str, *, call_id: str | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.call_id = call_id

    @override
    def _facts(self) -> str:
        call = f"call {self.call_id}" if self.call_id else ""
        return ", ".join(part for part in (call, super()._facts()) if part)


class RemoteError(CallFailed):
    """The user's function raised in the worker.

    Attributes:
        error_type: Qualified name of the remote exception: ``"ValueError"``, ``"app.NoModel"``.
        error_message: Its message.
        remote_traceback: The traceback as the worker printed it, starting at the user's frames.
    """

    def __init__(
        self,
        message: str,
        *,
        error_type: str = "",
        error_message: str = "",
        remote_traceback: str = "",
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.error_type = error_type
        self.error_message = error_message
        self.remote_traceback = remote_traceback

    @override
    def __str__(self) -> str:
        """Give the message followed by the remote traceback."""
        text = super().__str__()
        if not self.remote_traceback:
            return text
        return f"{text}\n\nRemote traceback:\n{self.remote_traceback.rstrip()}"


class CallTimedOut(CallFailed):
    """The call did not end within its budget.

    Attributes:
        cancel: What the cancel of the remote call achieved: ``"confirmed_terminal"``,
            ``"provider_ack"``, ``"channel_closed"`` or ``"no_evidence"``; empty when the
            provider itself ended the call.
    """

    def __init__(self, message: str, *, cancel: str = "", **facts: Any) -> None:
        super().__init__(message, **facts)
        self.cancel = cancel


class CallCancelled(CallFailed):
    """The call was cancelled, here or at the provider."""


class CallExpired(CallFailed):
    """The provider no longer keeps the call or its result."""


class OutcomeUnknown(CallFailed):
    """The call may or may not have run: its answer was lost, and it was not sent again.

    Attributes:
        idempotency_key: The key the submit carried, for looking the call up at the provider.
    """

    def __init__(self, message: str, *, idempotency_key: str | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.idempotency_key = idempotency_key
