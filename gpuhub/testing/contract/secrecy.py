"""Secrets: planted everywhere a user may have them, found nowhere they do not belong."""

# ruff: noqa: S101 - assert is how a test speaks
from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gpuhub.adapter import Feature
from gpuhub.errors import RemoteError, SpecError
from gpuhub.spec import Secret
from gpuhub.testing.contract.bench import Bench
from gpuhub.testing.contract.fixtures import once
from gpuhub.testing.contract.gates import needs
from gpuhub.testing.contract.planted import traces_of
from gpuhub.testing.contract.variations import LOCAL_SECRET

if TYPE_CHECKING:
    from gpuhub.endpoint import Endpoint

__all__ = ["Secrecy"]

CREDENTIAL_HEADERS = ("authorization", "cookie", "proxy-authorization")


class Secrecy:
    """What gpuhub and an adapter promise about secrets."""

    def test_secrets_leave_no_trace(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        """Not in plan, journal, log, repr or recorded request, however much goes on."""
        caplog.set_level(logging.DEBUG)
        texts = _texts_of_a_working_day(bench)
        texts["log records"] = "\n".join(_shown(record) for record in caplog.records)
        texts["recorded requests"] = "\n".join(_without_credentials(each) for each in bench.sent())
        blobs = {name: text.encode("utf-8", "surrogateescape") for name, text in texts.items()}
        for path in bench.folder.rglob("*"):
            with suppress(FileNotFoundError):  # a database's own, which come and go
                if path.is_file():
                    blobs[f"the file {path.name}"] = path.read_bytes()
        _check_clean(bench, blobs)

    def test_errors_hold_no_secret(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        """Neither what a failing provider echoes nor what the adapter adds shows a credential."""
        caplog.set_level(logging.DEBUG)
        endpoint = bench.deploy("echo", **_secret_settings(bench))
        texts = {}
        for kind in ("unauthorized", "malformed", "server_error", "lost_response", "crash"):
            bench.emulator.fail(kind, on="submit", times=6)
            error = bench.attempt(lambda: bench.invoke(endpoint, 1))
            texts[kind] = f"{error} {error!r} {getattr(error, '__dict__', '')}"
            texts[f"cause of {kind}"] = repr(getattr(error, "__cause__", None))
        texts["log records"] = "\n".join(_shown(record) for record in caplog.records)
        _check_clean(bench, {name: text.encode() for name, text in texts.items()})

    @needs(Feature.SECRETS, Feature.SECRETS_LOCAL)
    def test_a_local_secret_reaches_the_function(self, bench: Bench) -> None:
        """The worker sees the value as an environment variable, under the name asked for."""
        secret = Secret.from_local_env(LOCAL_SECRET, env="CONTRACT_TOKEN")
        endpoint = bench.deploy("variable", secrets=secret)
        assert bench.invoke(endpoint, "CONTRACT_TOKEN") == bench.environ[LOCAL_SECRET]

    @needs(Feature.SECRETS, Feature.SECRETS_LOCAL)
    def test_an_exception_shows_no_secret(self, bench: Bench) -> None:
        """Not even one in whose message the function itself put it."""
        secret = Secret.from_local_env(LOCAL_SECRET, env="CONTRACT_TOKEN")
        endpoint = bench.deploy("complain_of", secrets=secret)
        with pytest.raises(RemoteError, match=r"the token \*\*\* was refused") as caught:
            bench.invoke(endpoint, "CONTRACT_TOKEN")
        shown = f"{caught.value} {caught.value!r} {caught.value.__dict__}"
        _check_clean(bench, {"the exception": shown.encode()})

    @needs(Feature.SECRETS, Feature.SECRETS_LOCAL)
    def test_a_changed_local_secret_is_deployed(self, bench: Bench) -> None:
        """A new value under the same name is no no-op; the same value is one."""
        secret = Secret.from_local_env(LOCAL_SECRET, env="CONTRACT_TOKEN")
        bench.deploy("variable", secrets=secret)
        with bench.sends_no_mutation():
            bench.deploy("variable", secrets=secret)
        bench.environ = {**bench.environ, LOCAL_SECRET: "an0ther-value-of-it"}
        bench.restart()
        endpoint = bench.deploy("variable", secrets=secret)
        assert bench.invoke(endpoint, "CONTRACT_TOKEN") == "an0ther-value-of-it"

    @once
    def test_a_local_secret_that_is_not_set(self, bench: Bench) -> None:
        """Refused at plan time, naming the variable."""
        with bench.sends_nothing(), pytest.raises(SpecError, match="CONTRACT_NOT_SET"):
            bench.function("echo", secrets=Secret.from_local_env("CONTRACT_NOT_SET")).plan()

    @once
    @needs(Feature.SECRETS, Feature.SECRETS_LOCAL)
    def test_a_secret_in_the_code_is_not_bundled(self, bench: Bench) -> None:
        """A value that stands in a project file would be readable by anyone: refused."""
        text = f"TOKEN = {bench.environ[LOCAL_SECRET]!r}\n"
        secret = Secret.from_local_env(LOCAL_SECRET)
        with (
            bench.project.having("gpuhub_contract_leak.py", text),
            bench.sends_nothing(),
            pytest.raises(SpecError, match=r"gpuhub_contract_leak\.py") as caught,
        ):
            bench.function("echo", secrets=secret).plan()
        assert bench.environ[LOCAL_SECRET] not in str(caught.value)


def _texts_of_a_working_day(bench: Bench) -> dict[str, str]:
    """Deploy, call, fail and look; give everything that could be printed on the way."""
    function = bench.function("echo", **_secret_settings(bench))
    plan = function.plan()
    endpoint: Endpoint[..., Any] = bench.drive.call(function, "deploy")
    bench.invoke(endpoint, "value")
    session = bench.workspace.session()
    printed = {
        "plan JSON": json.dumps(plan.to_dict()),
        "plan": f"{plan!r} {plan}",
        "rows": repr(plan.rows),
        "bundle": repr(plan.bundle) + repr(plan.bundle.tar_gz()),
        "files of the bundle": repr(dict(plan.bundle.files)),
        "function": repr(function),
        "endpoint": f"{endpoint!r} {endpoint.ref!r}",
        "workspace": f"{bench.workspace!r} {bench.workspace.settings!r}",
        "provider settings": f"{session.settings!r} {session.settings}",
        "adapter": f"{session.adapter!r} {session.adapter.info!r}",
        "emulator's record": repr(bench.sent()),
    }
    if not bench.lacks(Feature.SPAWN):
        call = bench.drive.call(endpoint, "spawn", "value")
        state = bench.drive.call(call, "state")
        printed["call"] = f"{call!r} {state!r}"
    if not bench.lacks(Feature.STATUS):
        printed["status"] = repr(bench.drive.call(endpoint, "status"))
    if not bench.lacks(Feature.LOGS):
        printed["logs"] = repr(bench.drive.items(endpoint, "logs"))
    return printed


def _secret_settings(bench: Bench) -> dict[str, Any]:
    if bench.lacks(Feature.SECRETS) or bench.lacks(Feature.SECRETS_LOCAL):
        return {}
    return {"secrets": Secret.from_local_env(LOCAL_SECRET)}


def _shown(record: logging.LogRecord) -> str:
    return f"{record.getMessage()} {record.args!r} {record.exc_text or ''} {record.__dict__!r}"


def _without_credentials(request: Any) -> str:
    headers = {
        name: value for name, value in request.headers.items() if name not in CREDENTIAL_HEADERS
    }
    return repr(replace(request, headers=headers))


def _check_clean(bench: Bench, blobs: dict[str, bytes]) -> None:
    found = [
        f"{place}: the secret {name} {how}"
        for place, blob in blobs.items()
        for name, secret in _secrets(bench)
        for how, trace in traces_of(secret).items()
        if trace in blob
    ]
    assert not found, "\n".join(found)


def _secrets(bench: Bench) -> Iterable[tuple[str, str]]:
    return [(name, value) for name, value in bench.environ.items() if name != "GPUHUB_STATE_DIR"]
