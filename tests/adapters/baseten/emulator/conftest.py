"""An emulator, a client of its APIs, and models made of a few lines."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import io
import json
import tarfile
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest

from gpuhub_baseten.emulator import BasetenEmulator, EmulatorOptions
from tests.adapters.waiting import until

ECHO = """
class Model:
    def __init__(self, **kwargs):
        self.given = kwargs
    def load(self):
        print("model loaded", flush=True)
    def predict(self, inputs):
        return inputs
"""


def archive(files: Mapping[str, str | bytes]) -> bytes:
    """Pack files as Truss does."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in files.items():
            content = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def signed(url: str, creds: Mapping[str, str], region: str, **changes: str) -> dict[str, str]:
    """Give the headers of a signed upload; ``changes`` replace some before signing."""
    parts = urlsplit(url)
    moment = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "host": parts.netloc,
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
        "x-amz-date": moment,
        "x-amz-security-token": creds["aws_session_token"],
        **changes,
    }
    names = ";".join(sorted(headers))
    payload = headers["x-amz-content-sha256"]
    lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
    canonical = "\n".join(["PUT", quote(parts.path), "", *lines, "", names, payload])
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{creds['aws_secret_access_key']}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"{creds['aws_access_key_id']}/{scope}"
    authorization = f"Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "authorization": f"AWS4-HMAC-SHA256 {authorization}"}


class Account:
    """A client of one emulator.

    Attributes:
        emulator: The provider.
        urls: What ``start()`` gave.
        http: Sends requests, relative to the management API.
    """

    def __init__(self, emulator: BasetenEmulator) -> None:
        self.emulator = emulator
        self.urls = emulator.start()
        headers = {"Authorization": "Bearer made-up"}
        base = self.urls["api_url"]
        self.http = httpx.Client(base_url=base, headers=headers, timeout=60, trust_env=False)

    def prepared(self, name: str, config: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask for an upload."""
        body = {"name": name, "deployment": {"config": config or {"model_name": name}}}
        answer = self.http.post("/v1/prepare_model_upload", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def place(self, made: Mapping[str, Any]) -> str:
        """Give where an archive goes."""
        return f"{self.urls['upload_url'].format(bucket=made['s3_bucket'])}/{made['s3_key']}"

    def uploaded(self, name: str, files: Mapping[str, str | bytes]) -> str:
        """Upload an archive; give its key."""
        made = self.prepared(name)
        url = self.place(made)
        headers = signed(url, made["creds"], made["s3_region"])
        answer = httpx.put(
            url, content=archive(files), headers=headers, timeout=60, trust_env=False
        )
        assert answer.status_code == 200, answer.text
        return str(made["s3_key"])

    def model(self, code: str = ECHO, name: str = "tested", **given: Any) -> Made:
        """Push a model of a few lines and wait until its rollout has ended.

        Args:
            code: Of ``model/model.py``.
            name: Of the model.
            given: ``config``, ``files`` and ``limits`` beside the usual ones; other members of
                the deployment.
        """
        made = self.push(code, name, **given)
        made.settle()
        return made

    def push(self, code: str = ECHO, name: str = "tested", **given: Any) -> Made:
        """Push a model, or one more deployment of it, and do not wait."""
        config = {"model_name": name, **given.pop("config", {})}
        files = {
            "config.yaml": json.dumps(config),
            "model/model.py": textwrap.dedent(code),
            **given.pop("files", {}),
        }
        deployment: dict[str, Any] = {
            "config": config,
            "environment_name": "production",
            "preserve_env_instance_type": False,
            "autoscaling_settings": {"scale_down_delay": 60, **given.pop("limits", {})},
            **given,
        }
        (known,) = self.http.get("/v1/models", params={"name": name}).json()["models"] or (None,)
        key = self.uploaded(f"{name}-upload", files)
        source = {"kind": "model_archive", "s3_key": key, "deployment": deployment}
        if known is None:
            body = {"source": {**source, "name": name}}
            answer = self.http.post("/v1/models", json=body)
        else:
            answer = self.http.post(
                f"/v1/models/{known['id']}/deployments", json={"source": source}
            )
        assert answer.status_code == 200, answer.text
        created = answer.json()
        return Made(self, created["model"]["id"], created["deployment"]["id"])


class Made:
    """One deployment of one model."""

    def __init__(self, account: Account, model_id: str, deployment_id: str) -> None:
        self._account = account
        self._http = account.http
        self.model_id = model_id
        self.id = deployment_id
        self.base = account.urls["model_url"].format(model_id=model_id)
        self.path = f"/v1/models/{model_id}/deployments/{deployment_id}"
        self.production = f"/v1/models/{model_id}/environments/production"

    @property
    def state(self) -> Any:
        """The emulator's own view of it."""
        return self._account.emulator.model(self.model_id).deployments[self.id]

    def settle(self) -> str:
        """Let time pass until its rollout has ended; give its status."""
        for _ in range(60):
            status = self.status()
            if status not in ("BUILDING", "DEPLOYING", "LOADING_MODEL", "WAKING_UP"):
                return status
            self._account.emulator.clock.advance(1)
        return status

    def shown(self) -> dict[str, Any]:
        """Ask for its description."""
        return dict(self._http.get(self.path).json())

    def status(self) -> str:
        """Ask for its state."""
        return str(self.shown()["status"])

    def environment(self) -> dict[str, Any]:
        """Ask for the production environment."""
        return dict(self._http.get(self.production).json())

    def post(self, verb: str, body: Any = None) -> httpx.Response:
        """POST something of it to the management API."""
        return self._http.post(f"{self.path}/{verb}", json=body or {})

    def call(self, body: Any = None, target: str = "production", **options: Any) -> httpx.Response:
        """Send a prediction."""
        given = {"json": body} if "content" not in options else {}
        return self._http.post(f"{self.base}/{target}/predict", **given, **options)

    def submit(self, body: Any, **members: Any) -> httpx.Response:
        """Send an asynchronous prediction."""
        return self._http.post(
            f"{self.base}/production/async_predict", json={"model_input": body, **members}
        )

    def request(self, request_id: str) -> dict[str, Any]:
        """Ask about an asynchronous prediction."""
        return dict(self._http.get(f"{self.base}/async_request/{request_id}").json())

    def ended(self, request_id: str) -> dict[str, Any]:
        """Ask about an asynchronous prediction until it has ended."""
        until(lambda: self.request(request_id)["status"] not in ("QUEUED", "IN_PROGRESS"))
        return self.request(request_id)

    def lines(self, **query: Any) -> list[str]:
        """Ask for its log."""
        answer = self.post("logs", {"direction": "asc", **query})
        assert answer.status_code == 200, answer.text
        return [line["message"] for line in answer.json()["logs"]]


@pytest.fixture
def options() -> EmulatorOptions:
    """How the emulator behaves; a test may parametrize its own."""
    return EmulatorOptions()


@pytest.fixture
def account(options: EmulatorOptions) -> Iterator[Account]:
    """A fresh workspace on a virtual clock."""
    emulator = BasetenEmulator(options)
    made = Account(emulator)
    yield made
    made.http.close()
    emulator.stop()


@pytest.fixture
def clock(account: Account) -> Any:
    """Its time."""
    return account.emulator.clock
