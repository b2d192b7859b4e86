"""An emulator, a client of its API, and models whose runner is a few lines."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import textwrap
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gpuhub_replicate.emulator import EmulatorOptions, ReplicateEmulator
from tests.adapters.waiting import until

ECHO = """
from cog import BaseRunner, Input

class Runner(BaseRunner):
    def run(self, payload: str = Input(description="text")) -> str:
        print("echo", payload)
        return payload
"""
TEXT = {"type": "string", "title": "Output"}
LINES = {
    "type": "array",
    "items": {"type": "string"},
    "title": "Output",
    "x-cog-array-type": "iterator",
    "x-cog-array-display": "concatenate",
}
LOGIN = "Basic " + base64.b64encode(b"gpuhub-tester:made-up").decode()
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def digest_of(content: bytes) -> str:
    """Give ``sha256:…``."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def schema(output: dict[str, Any] | None = None, **properties: Any) -> dict[str, Any]:
    """Give an OpenAPI document with one text as input, or these inputs."""
    given = properties or {"payload": {"type": "string"}}
    wanted = {"type": "object", "title": "Input", "properties": given, "required": list(given)}
    parts = {"Input": wanted, "Output": output or TEXT}
    return {"openapi": "3.0.2", "components": {"schemas": parts}}


class Account:
    """A client of one emulator.

    Attributes:
        emulator: The provider.
        http: Sends requests to the API.
        registry: Sends requests to the registry, with a login.
    """

    def __init__(self, emulator: ReplicateEmulator) -> None:
        self.emulator = emulator
        urls = emulator.start()
        bearer = {"Authorization": "Bearer made-up"}
        self.http = httpx.Client(
            base_url=f"{urls['api_url']}/", headers=bearer, timeout=60, trust_env=False
        )
        self.registry = httpx.Client(
            base_url=f"{urls['registry_url']}/v2/",
            headers={"Authorization": LOGIN, "Accept": f"{MANIFEST}, */*"},
            timeout=60,
            trust_env=False,
        )

    def close(self) -> None:
        """End it all."""
        self.http.close()
        self.registry.close()
        self.emulator.stop()

    def model(self, name: str = "tested", **fields: Any) -> str:
        """Make a model; give its path."""
        owner = self.emulator.username
        body = {"owner": owner, "name": name, "visibility": "private", "hardware": "cpu"}
        answer = self.http.post("models", json={**body, **fields})
        assert answer.status_code == 201, answer.text
        return f"{owner}/{name}"

    def push(
        self,
        runner: str = ECHO,
        path: str = "gpuhub-tester/tested",
        *,
        env: tuple[str, ...] = (),
        document: dict[str, Any] | None = None,
        labels: dict[str, str] | None = None,
        files: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Push a base image with a runner on top; give the answer about the manifest."""
        given = schema() if document is None else document
        content = {"src/run.py": textwrap.dedent(runner), **(files or {})}
        content["src/.cog/openapi_schema.json"] = json.dumps(given)
        base: dict[str, Any] = self.registry.get("cog-base/manifests/python3.11").json()
        config = self.registry.get(f"cog-base/blobs/{base['config']['digest']}").json()
        for each in base["layers"]:
            query = {"mount": each["digest"], "from": "cog-base"}
            assert self.registry.post(f"{path}/blobs/uploads/", params=query).status_code == 201
        layer = packed(content)
        run: dict[str, Any] = config["config"]
        run["Env"] += ["COG_PREDICT_TYPE_STUB=run.py:Runner", "PYTHONPATH=/opt/packages", *env]
        run["Labels"] = labels if labels is not None else labels_of(given)
        config["rootfs"]["diff_ids"].append(digest_of(gzip.decompress(layer)))
        base["config"] |= self.blob(path, json.dumps(config).encode())
        base["layers"].append({"mediaType": LAYER, **self.blob(path, layer)})
        return self.registry.put(
            f"{path}/manifests/latest",
            content=json.dumps(base).encode(),
            headers={"Content-Type": MANIFEST},
        )

    def blob(self, path: str, content: bytes) -> dict[str, Any]:
        """Upload a blob; give its part of a descriptor."""
        opened = self.registry.post(f"{path}/blobs/uploads/")
        assert opened.status_code == 202, opened.text
        place, digest = opened.headers["location"], digest_of(content)
        joint = "&" if "?" in place else "?"
        url = f"{self.emulator.url}{place}{joint}digest={digest}"
        answer = self.registry.put(url, content=content)
        assert answer.status_code == 201, answer.text
        return {"digest": digest, "size": len(content)}

    def version(self, runner: str = ECHO, **options: Any) -> str:
        """Push a version of the model ``tested``, which is made; give its id."""
        if "gpuhub-tester/tested" not in self.emulator._account.models:
            self.model()
        answer = self.push(runner, **options)
        assert answer.status_code == 201, answer.text
        return answer.headers["docker-content-digest"].removeprefix("sha256:")

    def deployment(self, runner: str = ECHO, **options: Any) -> Deployed:
        """Push a runner and deploy it; numbers of instances and hardware change the body."""
        fields: dict[str, Any] = {
            name: options.pop(name)
            for name in ("min_instances", "max_instances", "hardware", "name")
            if name in options
        }
        version = self.version(runner, **options)
        body = {
            "name": "tested",
            "model": "gpuhub-tester/tested",
            "version": version,
            "hardware": "cpu",
            "min_instances": 0,
            "max_instances": 1,
            **fields,
        }
        answer = self.http.post("deployments", json=body)
        assert answer.status_code == 200, answer.text
        return Deployed(self, str(body["name"]), version)

    def get(self, prediction: dict[str, Any]) -> dict[str, Any]:
        """Ask about a prediction."""
        return dict(self.http.get(f"predictions/{prediction['id']}").json())

    def ended(self, prediction: dict[str, Any]) -> dict[str, Any]:
        """Ask about a prediction until it has ended."""
        until(lambda: self.get(prediction)["status"] not in ("starting", "processing"))
        return self.get(prediction)


class Deployed:
    """One deployment of an account."""

    def __init__(self, account: Account, name: str, version: str) -> None:
        self._account = account
        self.name = name
        self.version = version
        self.path = f"deployments/{account.emulator.username}/{name}"

    @property
    def pool(self) -> Any:
        """The emulator's own view of it."""
        return self._account.emulator.deployment(self.name).pool

    def post(self, payload: Any = "x", prefer: str = "", **members: Any) -> httpx.Response:
        """Create a prediction."""
        headers = members.pop("headers", {}) | ({"Prefer": prefer} if prefer else {})
        body = {"input": payload if isinstance(payload, dict) else {"payload": payload}, **members}
        return self._account.http.post(f"{self.path}/predictions", json=body, headers=headers)

    def begin(self, payload: Any = "x", **members: Any) -> dict[str, Any]:
        """Create a prediction without waiting; give the answer."""
        answer = self.post(payload, **members)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def run(self, payload: Any = "x", prefer: str = "wait", **members: Any) -> dict[str, Any]:
        """Create a prediction and wait; give the answer."""
        answer = self.post(payload, prefer, **members)
        assert answer.status_code in (201, 202), answer.text
        return dict(answer.json())

    def patch(self, **fields: Any) -> dict[str, Any]:
        """Change the deployment; give its current release."""
        answer = self._account.http.patch(self.path, json=fields)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["current_release"])


def labels_of(document: dict[str, Any]) -> dict[str, str]:
    """Give the labels that Cog's own builds have."""
    return {
        "run.cog.version": "0.23.1",
        "run.cog.config": json.dumps({"build": {}, "predict": "run.py:Runner"}),
        "run.cog.openapi_schema": json.dumps(document),
        "run.cog.has_init": "true",
    }


def packed(files: dict[str, str]) -> bytes:
    """Give a layer."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(buffer.getvalue(), mtime=0)


def is_running(pid: int) -> bool:
    """Whether a process is there, and more than a name that nobody has asked about yet."""
    command = ["ps", "-o", "stat=", "-p", str(pid)]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return found.strip() != "" and not found.startswith("Z")


@pytest.fixture
def options() -> EmulatorOptions:
    """How the emulator behaves; a test may parametrize its own."""
    return EmulatorOptions()


@pytest.fixture
def account(options: EmulatorOptions) -> Iterator[Account]:
    """A fresh account on a virtual clock."""
    made = Account(ReplicateEmulator(options))
    yield made
    made.close()


@pytest.fixture
def clock(account: Account) -> Any:
    """Its time."""
    return account.emulator.clock
