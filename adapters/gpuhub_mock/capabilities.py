"""What the mock provider can do: every feature, each with how or why not."""

from __future__ import annotations

from collections.abc import Mapping

from gpuhub.adapter import Feature, Support

__all__ = ["CAPABILITIES", "RECORDED", "capabilities"]

RECORDED = {
    "cpu": "recorded and priced; workers share this machine's cores",
    "memory": "recorded and priced; not enforced on this machine",
    "disk": "recorded; workers share this machine's disk",
    "image.reference": "recorded; no image is pulled: functions run in the Python that runs gpuhub",
    "image.python": "recorded; functions run in the Python that runs gpuhub",
    "image.pip": "recorded, not installed: functions see the packages installed here",
    "image.apt": "recorded, not installed: functions see the programs installed here",
    "image.commands": "recorded, not run",
    "image.registry_secret": "recorded; no image is pulled",
    "scaling.scale_window": "recorded; the mock scales on the load of the moment",
    "volumes": "a folder for each volume; GPUHUB_VOLUMES in the worker maps mount paths to folders",
    "regions": "recorded; every worker runs on this machine",
    "cloud": "recorded; every worker runs on this machine",
    "snapshot": "recorded; cold starts take as long as without",
    "min_cuda": "recorded; workers have no GPU",
    "public": "recorded; the mock only listens on this machine, and asks for no credential",
}
"""Settings that the mock takes and shows, but that have no effect on this machine; why."""

_EMULATED = {
    **{Feature(field): reason for field, reason in RECORDED.items()},
    Feature.BUCKETS: "an empty folder for each bucket; nothing is fetched",
    Feature.WEBHOOK: "kept in `webhooks` of the mock provider; nothing is sent",
    Feature.CANCEL_RUNNING: (
        "in inline and thread mode the call ends as cancelled, while its thread runs to its end"
    ),
}

CAPABILITIES: Mapping[Feature, Support] = {
    feature: Support.emulated(_EMULATED[feature]) if feature in _EMULATED else Support.native()
    for feature in Feature
}
"""Support with the default settings."""


def capabilities(*, idempotency_keys: bool, mode: str) -> Mapping[Feature, Support]:
    """Give the support under some settings.

    Args:
        idempotency_keys: Whether a second call with the same key is the same call.
        mode: Where functions run.
    """
    changed: dict[Feature, Support] = {}
    if not idempotency_keys:
        changed[Feature.IDEMPOTENCY_KEY] = Support.unsupported(
            "switched off with `idempotency_keys = false`"
        )
    if mode == "subprocess":
        changed[Feature.CANCEL_RUNNING] = Support.native("the worker's process is killed")
    return {**CAPABILITIES, **changed}
