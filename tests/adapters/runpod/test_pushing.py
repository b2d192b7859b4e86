"""Code that travels in an image: which layers, under which name, with which login."""

from __future__ import annotations

import json
import tarfile
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gpuhub.oci import Reference, RegistryCredentials
from gpuhub.spec import Image
from gpuhub_runpod import pushing
from tests.adapters.runpod.answers import API, described, releases

PUSHED = "docker.io/me/workers@sha256:" + "0" * 64


@pytest.fixture
def pushes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stand-ins for the registry and for the installer; gives what was pushed."""
    found: list[Any] = []

    async def push_image(io, base, layers, target, changes, **options):
        names: list[Any] = []
        for layer in layers:
            if not isinstance(layer, str):
                with tarfile.open(layer.path) as archive:
                    names.append(archive.getnames())
            else:
                names.append(layer)
        found.append(
            SimpleNamespace(base=base, layers=names, target=target, changes=changes, **options)
        )
        return SimpleNamespace(reference=Reference.parse(PUSHED))

    async def wheels_layer(io, requirements, *, python, cache, prefix):
        return f"{prefix}: {' '.join(requirements)} for {python} in {cache.name}"

    monkeypatch.setattr(pushing, "push_image", push_image)
    monkeypatch.setattr(pushing, "wheels_layer", wheels_layer)
    return found


def deploy(lab: Any, api: Any, **settings: Any) -> Any:
    """Deploy with a push; gives the body of the create."""
    created: list[Any] = []

    def create(request: Any) -> Any:
        created.append(json.loads(request.content))
        return httpx.Response(201, json=described(created[-1]))

    api.post(f"{API}/serverless").mock(side_effect=create)
    api.get(f"{API}/serverless/ep1/releases").respond(json=releases([]))
    plan = lab.plan(options={"runpod": {"ship": "registry"}}, **settings)
    lab.run(lab.adapter.deploy(lab.io, plan, None))
    return created[-1]


def test_code_and_packages_are_two_layers(make_lab, api, pushes):
    """Packages below, as they change less often; the start command is RunPod's to give."""
    lab = make_lab(registry="docker.io/me/workers", registry_auth_id="reg1")
    body = deploy(lab, api, image=Image(python="3.12", pip=["numpy>=2"]))
    (push,) = pushes
    assert push.layers[0] == "opt/gpuhub/packages: numpy>=2 for 3.12 in wheels"
    assert "opt/gpuhub/bundle/manifest.json" in push.layers[1]
    assert "opt/gpuhub/bundle/runtime/gpuhub_runpod/entry.py" in push.layers[1]
    assert push.changes.entrypoint == ()
    assert push.changes.env == {"PYTHONPATH": "/opt/gpuhub/packages"}
    assert str(push.base) == "docker.io/runpod/queue:py3.12-latest"
    assert str(push.target).startswith("docker.io/me/workers:lab-echo-")
    assert not push.insecure
    assert body["image"] == PUSHED
    assert body["registry"] == "reg1"
    assert body["env"]["GPUHUB_BUNDLE"] == "/opt/gpuhub/bundle"
    assert "GPUHUB_PIP" not in body["env"]
    assert "GPUHUB_CODE_0" not in body["env"]


def test_packages_over_an_image_of_the_users(make_lab, api, pushes):
    """Its Python is not known here: they are installed when a worker starts."""
    lab = make_lab(registry="docker.io/me/workers", registry_insecure=True)
    body = deploy(lab, api, image=Image("me/base:1", pip="numpy"))
    assert len(pushes[0].layers) == 1
    assert pushes[0].insecure
    assert body["env"]["GPUHUB_PIP"] == '["numpy"]'
    assert body["registry"] is None


def test_the_login_of_the_settings(make_lab, api, pushes):
    """For the target's registry only; others get what `docker login` left."""
    lab = make_lab(
        registry="registry.example:5000/workers",
        registry_username="me",
        registry_password="pa55word",
    )
    deploy(lab, api, image=Image(python="3.12"))
    login = pushes[0].credentials
    assert login == {"registry.example:5000": RegistryCredentials("me", SecretStr("pa55word"))}


def test_the_same_code_has_the_same_name(make_lab, api, pushes):
    """Pushing again sends nothing new."""
    lab = make_lab(registry="docker.io/me/workers")
    for _ in range(2):
        deploy(lab, api, image=Image(python="3.12"))
    assert pushes[0].target == pushes[1].target
