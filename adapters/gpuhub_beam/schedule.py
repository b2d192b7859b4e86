"""Schedules: a cron line in UTC, and the gRPC call that makes Beam follow it.

``FunctionService/FunctionSchedule`` (function.proto of the gateway, 0b79dfe): its request has the
stub, the line and the deployment. Stopping the deployment ends the schedule, and starting it does
not bring it back, so a rollback asks again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gpuhub.errors import BadRequest, MalformedResponse, SpecError
from gpuhub_beam.unary import call, fields_of, message, require_grpc

if TYPE_CHECKING:
    from pydantic import SecretStr

    from gpuhub.adapter import Io
    from gpuhub.spec import Schedule

__all__ = ["ROUTE", "Scheduler", "grpc_address", "when"]

ROUTE = "/function.FunctionService/FunctionSchedule"
HOSTED_GRPC = "https://gateway.beam.cloud:443"
_MINUTE, _HOUR, _DAY, _WEEK = 60, 3600, 86_400, 604_800


def when(schedule: Schedule) -> str:
    """Give the cron line.

    Raises:
        SpecError: No cron line has that period.
    """
    if schedule.cron is not None:
        return schedule.cron
    seconds = schedule.every or 0
    if seconds == _WEEK:
        return "0 0 * * 0"
    if seconds == _DAY:
        return "0 0 * * *"
    if seconds % _HOUR == 0 and _DAY % seconds == 0:
        hours = int(seconds // _HOUR)
        return "0 * * * *" if hours == 1 else f"0 */{hours} * * *"
    if seconds % _MINUTE == 0 and _HOUR % seconds == 0:
        minutes = int(seconds // _MINUTE)
        return "* * * * *" if minutes == 1 else f"*/{minutes} * * * *"
    raise SpecError(
        f"schedule: Beam follows cron lines, and none runs every {seconds:g} s",
        next_step="choose a part of an hour in minutes, a part of a day in hours, a day or a week;"
        " or write cron='…'",
        provider="beam",
    )


def grpc_address(gateway_url: str, hosted: str) -> str:
    """Give where a gateway speaks gRPC, if nobody says: port 1993 of its host."""
    if gateway_url.rstrip("/") == hosted:
        return HOSTED_GRPC
    return f"http://{urlsplit(gateway_url).hostname}:1993"


class Scheduler:
    """Makes schedules at one gateway.

    Args:
        url: Where it speaks gRPC.
        token: Gives the credential when it is needed.
    """

    def __init__(self, url: str, token: Callable[[], SecretStr]) -> None:
        self.url = url
        self._token = token

    def require(self) -> None:
        """See that schedules can be made, before anything else is.

        Raises:
            AdapterNotInstalled: grpcio is not installed.
        """
        require_grpc()

    async def follow(self, io: Io, stub: str, line: str, deployment: str) -> None:
        """Let a deployment run at the times of a cron line; an earlier line of it is replaced.

        Raises:
            BadRequest: The gateway refused; gives its words.
            ProviderUnavailable: It did not answer.
        """
        body = message([stub, line, deployment])
        answer = await io.run(self._call, body)
        try:
            fields = fields_of(answer)
        except ValueError as error:
            raise MalformedResponse(
                f"Beam: the answer to {ROUTE} is none: {error}",
                provider="beam",
                accepted=None,
                next_step="report it: the gateway's interface changed",
            ) from None
        if fields.get(1) != 1:
            words = fields.get(2, b"")
            text = words.decode("utf-8", "replace") if isinstance(words, bytes) else ""
            raise BadRequest(
                f"Beam refused the schedule {line!r}: {text or 'it gives no reason'}",
                provider="beam",
                next_step="correct `schedule` in the decorator",
            )

    def _call(self, body: bytes) -> bytes:
        return call(self.url, ROUTE, body, self._token().get_secret_value())
