"""The older GraphQL API, as far as ``truss push`` of truss 0.18.35 asks it (read 2026-11).

Its client puts values into the text of the query, so this reads that text: one operation with the
arguments that client knows; no other query is understood.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuhub_baseten.emulator import bodies
from gpuhub_baseten.emulator.bodies import read_values
from gpuhub_baseten.emulator.catalog import choose
from gpuhub_baseten.emulator.config import read_config
from gpuhub_baseten.emulator.planes.store import BUCKET, REGION
from gpuhub_baseten.emulator.problems import Problem, invalid
from gpuhub_baseten.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_baseten.emulator.account import Account
    from gpuhub_baseten.emulator.planes.belongings import Belongings
    from gpuhub_baseten.emulator.planes.store import Store
    from gpuhub_baseten.emulator.site import Site
    from gpuhub_baseten.emulator.state import Deployment, Model

__all__ = ["Graph", "arguments_of"]

_HEAD = re.compile(r"^\s*(?:query|mutation)?\s*\w*\s*(?:\([^)]*\))?\s*\{\s*(?P<name>\w+)")
_ARGUMENT = re.compile(r'(\w+)\s*:\s*("(?:[^"\\]|\\.)*"|\$\w+|-?\d+|\w+)')
_PUSHED = frozenset(
    {
        *("name", "s3_key", "config", "semver_bump", "truss_user_env", "allow_truss_download"),
        *("version_name", "model_origin", "environment_name", "deploy_timeout_minutes"),
        *("team_id", "user_deploy_metadata", "raw_config"),
    }
)
_ADDED = (_PUSHED - {"version_name", "model_origin", "team_id", "allow_truss_download"}) | {
    "model_id",
    "scale_down_old_production",
    "preserve_env_instance_type",
}
_ARGUMENTS: Mapping[str, frozenset[str]] = {
    "teams": frozenset(),
    "models": frozenset({"all", "team_id"}),
    "truss_validation": frozenset({"config", "truss_user_env"}),
    "model_s3_upload_credentials": frozenset(),
    "create_model_from_truss": _PUSHED,
    "create_model_version_from_truss": _ADDED,
    "deploy_draft_truss": _PUSHED - {"semver_bump", "version_name", "environment_name"},
}
"""Operations and their arguments."""


class Graph:
    """``/graphql/``.

    Args:
        site: What all parts share.
        account: Whose models.
        store: Takes archives.
        belongings: Knows the team.
    """

    def __init__(self, site: Site, account: Account, store: Store, belongings: Belongings) -> None:
        self._site = site
        self._account = account
        self._store = store
        self._belongings = belongings

    async def handle(self, request: Request) -> Answer:
        """``POST /graphql/``."""
        document = request.json()
        name, given = arguments_of(str(document.get("query")), document.get("variables") or {})
        with self._site.change():
            data = self._answered(name, given)
        return Answer.of({"data": {name: data}})

    def _answered(self, name: str, given: Mapping[str, Any]) -> Any:
        if name == "teams":
            team = self._belongings.team()
            return [{key: team[key] for key in ("id", "name", "default")}]
        if name == "models":
            return [self._model(each) for each in self._account.models.values()]
        if name == "truss_validation":
            return _validated(given)
        if name == "model_s3_upload_credentials":
            return self._credentials()
        return self._pushed(name, given)

    def _model(self, model: Model) -> dict[str, Any]:
        team = self._belongings.team()
        shown = {key: team[key] for key in ("id", "name")}
        return {"id": model.id, "name": model.name, "team": shown}

    def _credentials(self) -> dict[str, Any]:
        """Credentials, and where this store is: further members go to the client's boto3."""
        made = self._store.issue()
        return {
            "s3_bucket": BUCKET,
            "s3_key": made.s3_key,
            "aws_access_key_id": made.access_key,
            "aws_secret_access_key": made.secret_key,
            "aws_session_token": made.session_token,
            "endpoint_url": self._site.url,
            "region_name": REGION,
        }

    def _pushed(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        known = given.get("model_id")
        model = self._account.model(known) if known else self._account.named(given.get("name", ""))
        is_draft = name == "deploy_draft_truss"
        if name == "create_model_from_truss" and model is not None:
            raise invalid(f"a model named {model.name} already exists")
        payload = self._payload(name, given, model)
        self._account.check_push(payload, model)
        archive = self._store.archive(given["s3_key"])
        if archive is None:
            raise invalid(f"no archive was uploaded as {given['s3_key']}")
        if model is None:
            allows = given.get("allow_truss_download") != "false"
            model = self._account.new_model(given["name"], allows_download=allows)
        deployment = self._account.push(model, payload, archive)
        deployment.scales_down_previous = given.get("scale_down_old_production") != "false"
        return {"model_version": self._version(model, deployment, is_draft=is_draft)}

    def _version(self, model: Model, deployment: Deployment, *, is_draft: bool) -> dict[str, Any]:
        oracle = {
            "id": model.id,
            "name": model.name,
            "hostname": f"{self._site.url}/model-{model.id}",
        }
        return {
            "id": deployment.id,
            "oracle": oracle,
            "instance_type": {"name": deployment.instance.id},
            "is_draft": is_draft,
        }

    def _payload(self, name: str, given: Mapping[str, Any], model: Model | None) -> bodies.Payload:
        """Say what was pushed in the words of the newer API."""
        is_draft = name == "deploy_draft_truss"
        key = "version_name" if name == "create_model_from_truss" else "name"
        own = given.get(key) if name != "deploy_draft_truss" else None
        environment = given.get("environment_name")
        if environment is None and not is_draft and (model is None or model.production is None):
            environment = "production"  # as truss documents its own `publish`
        labels = given.get("user_deploy_metadata")
        raw = given.get("raw_config")
        minutes = given.get("deploy_timeout_minutes")
        document = {
            "config": _decoded(given["config"]),
            "raw_config": base64.b64decode(raw).decode() if raw else None,
            "user_env": json.loads(given["truss_user_env"]),
            "environment_name": environment,
            "preserve_env_instance_type": given.get("preserve_env_instance_type") != "false",
            "deploy_timeout_minutes": int(minutes) if minutes else None,
            "deployment_name": own,
            "labels": json.loads(labels) if labels else None,
            "is_development": is_draft,
        }
        return read_values(bodies.Payload, document)


def arguments_of(query: str, variables: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Read one operation: its name and arguments.

    Raises:
        Problem: It is none that is known, or has other arguments.
    """
    match = _HEAD.match(query)
    if match is None or match["name"] not in _ARGUMENTS:
        raise Problem(400, f"cannot query {match['name'] if match else query[:40]!r}")
    name, rest = match["name"], query[match.end() :].lstrip()
    text = ""
    if rest.startswith("("):
        inside = re.match(r'\((?:"(?:[^"\\]|\\.)*"|[^")])*\)', rest)
        if inside is None:
            raise Problem(400, "syntax error: the arguments do not end")
        text = inside[0]
    given: dict[str, Any] = {}
    for key, value in _ARGUMENT.findall(text):
        if key not in _ARGUMENTS[name]:
            raise Problem(400, f"unknown argument {key!r} on field {name!r}")
        if value.startswith("$"):
            given[key] = variables.get(value[1:])
        else:
            given[key] = json.loads(value) if value.startswith('"') else value
    return name, given


def _validated(given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        choose(read_config(_decoded(given["config"])).resources)
    except Problem as problem:
        return {"success": False, "details": json.dumps({"errors": [problem.detail]})}
    return {"success": True, "details": None}


def _decoded(text: str) -> dict[str, Any]:
    """Read the base64 JSON of a configuration."""
    try:
        document = json.loads(base64.b64decode(text))
    except ValueError:
        raise invalid("config is no base64 of JSON") from None
    if not isinstance(document, dict):
        raise invalid("config is no JSON object")
    return document
