"""Chooses what runs a worker's code: this process, or one of its own."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from gpuhub_mock.emulator.bodies import DeploymentBody, SecretEntry
from gpuhub_mock.emulator.live import find_live
from gpuhub_mock.emulator.refusals import Refusal
from gpuhub_mock.emulator.runner_inline import InlineRunner
from gpuhub_mock.emulator.runner_subprocess import SubprocessRunner

if TYPE_CHECKING:
    from gpuhub_mock.emulator.logs import LogBook
    from gpuhub_mock.emulator.site import Site
    from gpuhub_mock.emulator.versions import VersionRecord
    from gpuhub_mock.emulator.workers import Runner

__all__ = ["make_runner", "secret_value"]

VOLUMES_VARIABLE = "GPUHUB_VOLUMES"
"""In the worker: JSON object of mount path -> folder that stands for the volume."""


def make_runner(site: Site, version: VersionRecord, worker_id: str, logs: LogBook) -> Runner:
    """Give what will run a worker of a version.

    Raises:
        Refusal: A secret or the bundle is no longer there.
    """

    def log(line: str, source: str) -> None:
        logs.write(line, worker_id, source)

    variables = _variables(site, version)
    if (live := _live(site, version)) is not None:
        return InlineRunner(
            live,
            version.target,
            variables=variables,
            environment=site.environment,
            secrets=[secret.env for secret in version.body.secrets],
            tap=site.tap,
            log=log,
        )
    folder = site.store.bundle_folder(version.body.code.bundle)
    if folder is None:
        raise Refusal(500, "bundle_gone", f"the bundle of version {version.id} is gone")
    return SubprocessRunner(
        folder,
        variables=variables,
        concurrency=version.body.workers.concurrency,
        timeout_s=version.body.calls.timeout_s,
        log=log,
    )


def secret_value(site: Site, version: VersionRecord, secret: SecretEntry) -> str:
    """Give a secret's value: sent along, from the provider's store, or from this process.

    Raises:
        Refusal: It is nowhere (422).
    """
    for known in (version.secrets.get(secret.env), site.secrets.get(secret.name)):
        if known is not None:
            return known if isinstance(known, str) else known.get_secret_value()
    value = os.environ.get(secret.name)
    if value is None:
        raise Refusal(422, "unknown_secret", f"there is no secret {secret.name!r}")
    return value


def _live(site: Site, version: VersionRecord) -> object | None:
    """Give the function itself, unless it is to run in a process of its own."""
    if site.options.mode == "subprocess" or version.target.kind == "web":
        return None
    if version.live is None:
        digest = version.body.code.bundle
        version.live = find_live(version.target, lambda name: site.store.sources(digest, name))
    found: object | None = version.live
    return found


def _variables(site: Site, version: VersionRecord) -> dict[str, str]:
    body = version.body
    secrets = {secret.env: secret_value(site, version, secret) for secret in body.secrets}
    return {**body.env, **secrets, **_volumes(site, body)}


def _volumes(site: Site, body: DeploymentBody) -> dict[str, str]:
    if not body.mounts:
        return {}
    folders = {
        mount.path: str(site.store.volume_folder(f"{mount.kind}-{mount.source}"))
        for mount in body.mounts
    }
    return {VOLUMES_VARIABLE: json.dumps(folders, sort_keys=True)}
