"""Making a new version: an app with one function, from the plan."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.errors import BadRequest, DeployFailed, GpuHubError, MalformedResponse, NotFound
from gpuhub_modal import entry
from gpuhub_modal.building import make_app
from gpuhub_modal.errors import named_errors
from gpuhub_modal.finding import found
from gpuhub_modal.states import fingerprint_tag, tags_of

if TYPE_CHECKING:
    from gpuhub.adapter import DeploymentRef, Io
    from gpuhub.bundle import Bundle
    from gpuhub.plan import Plan
    from gpuhub_modal.facts import AppFacts
    from gpuhub_modal.session import Session

__all__ = ["deploy", "write_folder"]

_TAIL = 50


async def deploy(
    io: Io, plan: Plan, previous: DeploymentRef | None, session: Session
) -> DeploymentRef:
    """Make a new version; Modal goes over to it when it is complete. Sends no call.

    Raises:
        DeployFailed: The image's build failed.
        ProviderError: Modal refused.
    """
    if previous is None:
        await io.run(_check_free, session, plan.deployment)
    version = 1 + int(previous.version.removeprefix("v") or 0) if previous else 1
    tag = fingerprint_tag(plan.fingerprint)
    facts = {"gpuhub": {"fingerprint": tag, "version": str(version)}}
    bodies = {each.step: plan.request(each.step, facts).json for each in plan.requests}
    await io.run(_deploy, session, plan, bodies)
    ref = await found(io, session, plan.deployment)
    if ref is None:
        raise MalformedResponse(
            f"Modal does not list the app {plan.deployment!r} that was deployed just now",
            provider="modal",
            accepted=None,
            next_step="look at the dashboard, then deploy again",
        )
    if ref.version != f"v{version}":
        # Somebody deployed meanwhile, or nothing had changed: the tags are about another version.
        now = int(ref.version.removeprefix("v"))
        tags = dict(tags_of(ref, plan.fingerprint, now))
        await io.run(session.set_tags, plan.deployment, tags)
    return replace(ref, fingerprint=plan.fingerprint)


def _check_free(session: Session, name: str) -> None:
    """Refuse to take the place of an app that gpuhub did not make."""
    try:
        app = session.app(name)
    except NotFound:
        return
    if _is_strangers(app):
        raise BadRequest(
            f"Modal has an app {name!r} that gpuhub did not make; a deploy would replace its"
            f" functions: {', '.join(sorted(app.functions)) or 'none'}",
            provider="modal",
            next_step="choose another app or function name, or stop that app",
        )


def _is_strangers(app: AppFacts) -> bool:
    return app.state == "deployed" and app.tags.get("gpuhub") != "1"


def _deploy(session: Session, plan: Plan, bodies: dict[str, Any]) -> None:
    publish = bodies["publish"]
    tag, strategy = publish["deployment_tag"], publish["strategy"]
    with tempfile.TemporaryDirectory(prefix="gpuhub-modal-") as folder:
        place = write_folder(Path(folder), plan.bundle, bodies["mount"]["deployment"])
        try:
            with named_errors():
                app = make_app(bodies, place, session.environment)
            session.deploy(app, plan.deployment, tag=tag, strategy=strategy)
        except GpuHubError as error:
            cause = error.__cause__
            if (image := getattr(cause, "image_id", None)) is None:
                raise
            raise _build_failed(session, plan, str(image), str(cause)) from None


def write_folder(folder: Path, bundle: Bundle, deployment: dict[str, Any]) -> Path:
    """Write what is mounted: an own package, so that nothing of an image's is taken for it."""
    bundle.write_to(folder / "bundle")
    (folder / "__init__.py").write_text("", "utf-8")
    (folder / "entry.py").write_bytes(Path(entry.__file__).read_bytes())
    (folder / "deployment.json").write_text(json.dumps(deployment, sort_keys=True), "utf-8")
    return folder


def _build_failed(session: Session, plan: Plan, image: str, words: str) -> DeployFailed:
    lines = session.build_log(image) or [line for line in words.splitlines() if line.strip()]
    return DeployFailed(
        f"the image of {plan.deployment!r} could not be made: its build failed at Modal",
        log_tail=tuple(lines[-_TAIL:]) or ("Modal gave no log",),
        provider="modal",
        next_step=f"correct the packages or commands of `image`, and deploy again; the whole log:"
        f" modal image logs {image}",
    )
