"""``…/predictions``: creating, asking, cancelling, streaming."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gpuhub.adapter.reading import rfc3339
from gpuhub.testing.emulator.signals import Signal
from gpuhub.testing.emulator.waiting import hold, wait_until
from gpuhub_replicate.emulator.bodies import PredictionCreation, VersionPredictionCreation, read
from gpuhub_replicate.emulator.events import stream_events
from gpuhub_replicate.emulator.models import Version
from gpuhub_replicate.emulator.paging import paged
from gpuhub_replicate.emulator.predictions import Hook, Prediction
from gpuhub_replicate.emulator.problems import Problem, invalid_input, missing
from gpuhub_replicate.emulator.schema import check_input
from gpuhub_replicate.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.account import Account
    from gpuhub_replicate.emulator.desk import Desk

__all__ = ["Predictions", "seconds_of"]

_WAIT = re.compile(r"^wait(?:=([1-9]|[1-5][0-9]|60))?$")
_DURATION = re.compile(r"^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")
_LONGEST_WAIT_S = 60
_EVENTS = frozenset({"start", "output", "logs", "completed"})


class Predictions:
    """Handlers.

    Args:
        account: Whose.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._site = account.site

    async def of_version(self, request: Request) -> Answer:
        """``POST /v1/predictions``: by version, or an official model's name."""
        sent = read(request, VersionPredictionCreation)
        with self._site.change():
            version = self._found(sent.version)
            desk = self._account.desk_for(version)
        return await self._create(request, sent, version, desk)

    async def of_model(self, request: Request, owner: str, name: str) -> Answer:
        """``POST /v1/models/{owner}/{name}/predictions``: official models only."""
        sent = read(request, PredictionCreation)
        with self._site.change():
            model = self._account.model(owner, name)
            version = model.latest
            if not model.is_official or version is None:
                raise missing()
            desk = self._account.desk_for(version)
        return await self._create(request, sent, version, desk)

    async def of_deployment(self, request: Request, owner: str, name: str) -> Answer:
        """``POST /v1/deployments/{owner}/{name}/predictions``."""
        sent = read(request, PredictionCreation)
        with self._site.change():
            deployment = self._account.deployment(owner, name)
            version = deployment.release.version
            desk = self._account.desks[deployment.pool.key]
        return await self._create(request, sent, version, desk, deployment.path)

    async def all(self, request: Request) -> Answer:
        """``GET /v1/predictions``, newest first."""
        with self._site.change():
            predictions = list(reversed(self._account.predictions.values()))

            def shown(prediction: Prediction) -> dict[str, Any]:
                found = prediction.shown(self._site.url)
                del found["logs"]  # lists leave it out
                return found

            return paged(request, self._site.url, predictions, shown)

    async def get(self, _request: Request, prediction_id: str) -> Answer:
        """``GET /v1/predictions/{id}``."""
        with self._site.change():
            prediction = self._account.prediction(prediction_id)
        await hold(self._site, prediction.changed, lambda: self._pending_s(prediction))
        with self._site.change():
            return self._shown(prediction)

    async def cancel(self, _request: Request, prediction_id: str) -> Answer:
        """``POST /v1/predictions/{id}/cancel``."""
        with self._site.change():
            prediction = self._account.prediction(prediction_id)
            if (desk := self._account.desk_of(prediction)) is not None:
                desk.cancel(prediction)
            return self._shown(prediction)

    async def stream(self, request: Request, prediction_id: str) -> Answer:
        """``GET urls.stream``."""
        with self._site.change():
            prediction = self._account.prediction(prediction_id)
            if not prediction.version.is_iterator or prediction.is_erased:
                raise missing()
        return stream_events(self._site, prediction, request)

    def _found(self, named: str) -> Version:
        """Find what ``version`` names: an id, ``owner/name:id``, or ``owner/name``."""
        path, mark, version_id = named.partition(":")
        model = self._account.models.get(path)
        if mark:
            version = model.versions.get(version_id) if model is not None else None
        elif "/" in named:
            version = model.latest if model is not None and model.is_official else None
        else:
            version = self._account.version(named)
        if version is None:
            raise Problem(
                422,
                "The specified version does not exist (or perhaps you don't have permission to "
                "use it?)",
                title="Invalid version or not permitted",
            )
        return version

    async def _create(
        self,
        request: Request,
        sent: PredictionCreation,
        version: Version,
        desk: Desk,
        deployment: str = "",
    ) -> Answer:
        asked_s = _wait_of(request.headers.get("prefer", ""))
        wait_s = min(asked_s, self._site.options.longest_wait_s)
        limit = self._site.options.input_bytes
        if len(request.body) > limit:
            raise Problem(413, f"The body has {len(request.body)} bytes; {limit} are the most.")
        if sent.webhook is not None:
            self._account.webhooks.check(sent.webhook)
        wrong = check_input(version.schema, sent.input, strict=self._site.options.strict_input)
        if wrong:
            raise invalid_input(wrong)
        deadline_s = self._deadline_of(request.headers.get("cancel-after", ""))
        with self._site.change():
            prediction = self._new(sent, version, desk, deployment)
            if deadline_s is not None:
                prediction.deadline = prediction.created + deadline_s
                prediction.deadline_at = rfc3339(self._site.timeline.wall() + deadline_s)
            fault = request.fault
            prediction.hangs = fault is not None and fault.kind == "timeout"
            prediction.crashes = fault is not None and fault.kind == "crash"
            self._account.submit(desk, prediction)
        ended = True
        if wait_s and not prediction.is_over:
            ended = await wait_until(
                self._site, prediction.changed, lambda: prediction.is_over, wait_s
            )
        with self._site.change():
            return self._shown(prediction, 201 if ended else 202)

    def _new(
        self, sent: PredictionCreation, version: Version, desk: Desk, deployment: str
    ) -> Prediction:
        hook = None
        if sent.webhook is not None:
            filtered = sent.webhook_events_filter
            hook = Hook(sent.webhook, frozenset(filtered) if filtered else _EVENTS)
        return Prediction(
            id=self._site.new_id(),
            model=version.model,
            version=version,
            pool=desk.pool.key,
            input=sent.input,
            created=self._site.timeline.now(),
            created_at=self._site.stamp(),
            changed=Signal(self._site.waker),
            shows_version=not self._account.models[version.model].is_official,
            deployment=deployment,
            hook=hook,
        )

    def _deadline_of(self, header: str) -> float | None:
        if not header:
            return None
        seconds, least = seconds_of(header), self._site.options.cancel_after_min_s
        if seconds is None or seconds < least:
            words = f"- Cancel-After: {header!r} must be a duration of at least {least:g}s\n"
            raise Problem(422, words, title="Invalid header")
        return seconds

    def _pending_s(self, prediction: Prediction) -> float:
        """Real seconds worth waiting for news of a prediction."""
        if prediction.is_over:
            return 0.0
        desk = self._account.desk_of(prediction)
        if prediction.status == "starting":
            return desk.pool.pending_s() if desk is not None else 0.0
        worker = prediction.worker
        runs = worker is not None and prediction.id in worker.at_work
        return self._site.options.hold_s if runs else 0.0

    def _shown(self, prediction: Prediction, status: int = 200) -> Answer:
        return Answer.of_worker_values(prediction.shown(self._site.url), status)


def seconds_of(text: str) -> float | None:
    """Read a duration such as ``30s``, ``5m`` or ``1h30m``; ``None``: it is none."""
    match = _DURATION.match(text.strip())
    if match is None or not any(match.groups()):
        return None
    hours, minutes, seconds = (int(each or 0) for each in match.groups())
    return float(3600 * hours + 60 * minutes + seconds)


def _wait_of(header: str) -> int:
    """Read ``Prefer``.

    Raises:
        Problem: 422, it is not as documented.
    """
    if not header:
        return 0
    match = _WAIT.match(header)
    if match is None:
        words = f"- Prefer: {header!r} must be wait, or wait=1 to wait=60\n"
        raise Problem(422, words, title="Invalid header")
    return int(match[1] or _LONGEST_WAIT_S)
