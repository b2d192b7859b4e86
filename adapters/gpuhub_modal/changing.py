"""Changing what is deployed: limits, versions, the end; and connecting to what is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gpuhub.adapter import DeploymentRef
from gpuhub.errors import NotFound, SpecError, UnsupportedSetting
from gpuhub_modal.finding import found
from gpuhub_modal.history import roll_back, versions_of
from gpuhub_modal.limits import autoscaler_settings
from gpuhub_modal.states import reference, tags_of

if TYPE_CHECKING:
    from gpuhub.adapter import Io
    from gpuhub.scaling import Scaling
    from gpuhub_modal.facts import AppFacts
    from gpuhub_modal.session import Session

__all__ = ["connected", "deleted", "rolled_back", "scaled"]


async def scaled(io: Io, ref: DeploymentRef, scaling: Scaling, session: Session) -> DeploymentRef:
    """Override the live limits.

    Raises:
        SpecError: Modal cannot change these in place.
    """
    deployed = int(ref.data.get("concurrency", scaling.concurrency))
    if scaling.concurrency != deployed:
        raise SpecError(
            f"scaling.concurrency: Modal's containers are made for {deployed} calls at once"
            f" (asked: {scaling.concurrency})",
            provider="modal",
            next_step="change it in the decorator and deploy again",
        )
    lacking = [name for name in ("scale_up_delay", "scale_window") if getattr(scaling, name)]
    if lacking:
        raise SpecError(
            f"scaling: Modal has no {' and no '.join(lacking)}",
            provider="modal",
            next_step="leave them out",
        )
    await io.run(session.scale, ref.data["function_id"], autoscaler_settings(scaling))
    return ref


async def rolled_back(io: Io, ref: DeploymentRef, version: str, session: Session) -> DeploymentRef:
    """Let an older version serve; Modal makes a new one of it.

    Raises:
        NotFound: Modal has no such version.
    """
    name = ref.data["app"]
    versions = await io.run(versions_of, session, name)
    chosen = next((each for each in versions if each.id == version), None)
    if chosen is None:
        listed = ", ".join(each.id for each in versions) or "none"
        raise NotFound(
            f"Modal keeps no version {version!r} of {name!r}; it keeps: {listed}",
            provider="modal",
            next_step="choose one of those",
        )
    await io.run(roll_back, session, name, version)
    app = await io.run(session.app, name)
    if ref.made_by_gpuhub:
        tags = dict(tags_of(ref, chosen.fingerprint, app.version))
        await io.run(session.set_tags, name, tags)
        now = await found(io, session, name)
        if now is not None:
            return now
    return replace(ref, version=f"v{app.version}")


async def deleted(io: Io, ref: DeploymentRef, session: Session) -> None:
    """Stop an app for good, with all of its versions.

    Raises:
        NotFound: There is none.
        UnsupportedSetting: gpuhub did not make it.
    """
    if not ref.made_by_gpuhub:
        raise UnsupportedSetting(
            f"the app {ref.data['app']} was not made by gpuhub, which deletes its own only",
            fields=("delete",),
            provider="modal",
            next_step=f"modal app stop {ref.data['app']}",
        )
    await io.run(session.stop, ref.data["app"])


async def connected(io: Io, address: str, session: Session) -> DeploymentRef:
    """Give a function by its address.

    Raises:
        NotFound: There is no such app, or no such function in it.
        UnsupportedSetting: It is a method of a class.
    """
    name, _, function = address.strip("/").partition("/")
    if "." in function:
        raise UnsupportedSetting(
            f"modal://{address} names a method of a Modal class",
            fields=("connect",),
            provider="modal",
            next_step="call it from a Modal function, and connect to that",
        )
    app = await io.run(session.app, name)
    ours = reference(name, app)
    if ours is not None and function in ("", ours.data["function"]):
        if ours.data["kind"] != "web":
            return ours
        facts = await io.run(session.function, name, ours.data["function"])
        return replace(ours, url=facts.web_url)
    return await _strangers(io, app, name, function or _only(app, name), session)


def _only(app: AppFacts, name: str) -> str:
    functions = sorted(each for each in app.functions if "." not in each)
    if len(functions) == 1:
        return functions[0]
    listed = ", ".join(functions) or "none"
    raise NotFound(
        f"the app {name!r} has not one function; it has: {listed}",
        provider="modal",
        next_step=f"name one of them: modal://{name}/FUNCTION",
    )


async def _strangers(
    io: Io, app: AppFacts, name: str, function: str, session: Session
) -> DeploymentRef:
    facts = await io.run(session.function, name, function)
    kind = "web" if facts.web_url else "generator" if facts.is_generator else "function"
    address = f"{name}/{function}"
    return DeploymentRef(
        provider="modal",
        name=address,
        address=address,
        version=f"v{app.version}",
        url=facts.web_url,
        made_by_gpuhub=False,
        data={
            "app": name,
            "app_id": app.app_id,
            "function": function,
            "function_id": facts.function_id,
            "kind": kind,
            "retries": "0",
        },
    )
