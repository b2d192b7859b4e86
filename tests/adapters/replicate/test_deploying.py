"""Deploying on the emulator: what is pushed, and what is sent again."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gpuhub.errors import (
    BadRequest,
    DeployFailed,
    GpuHubError,
    NoCapacity,
    UnsupportedSetting,
)
from gpuhub.oci import (
    Reference,
    Registry,
    RegistryCredentials,
    fetch_image,
    layer_from_files,
)
from gpuhub.oci.blobs import read_blob
from gpuhub.scaling import Scaling
from gpuhub.spec import Image, Secret
from gpuhub_replicate import pushing
from gpuhub_replicate.deploying import _model
from tests.adapters.replicate.answers import API, reference
from tests.adapters.replicate.steps import deploy, mutations


class Pushed:
    """An image as it is in the emulator's registry."""

    def __init__(self, lab: Any, provider: Any, name: str = "lab-echo") -> None:
        host = provider.url.removeprefix("http://")
        login = RegistryCredentials("gpuhub-tester", SecretStr("r8_SECRET"))
        self._lab, self._registry = lab, Registry(lab.io, host, login)
        self.reference = Reference.parse(f"{host}/gpuhub-tester/{name}:latest")
        self.image = lab.run(fetch_image(self._registry, self.reference))
        self.settings = self.image.settings()
        self.config = self.settings["config"]
        self.env = dict(line.partition("=")[::2] for line in self.config["Env"])
        self.labels = self.config["Labels"]

    @property
    def version(self) -> str:
        """The id that Replicate gives it."""
        digest: str = self.image.manifest.digest
        return digest.removeprefix("sha256:")

    def files(self, layer: int = -1) -> dict[str, bytes]:
        """Give the files of a layer."""
        digest = self.image.layers[layer].digest
        repository = self.reference.repository
        packed = self._lab.run(read_blob(self._registry, repository, digest))
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            return {
                each.name: archive.extractfile(each).read()  # type: ignore[union-attr]
                for each in archive
                if each.isfile()
            }


def test_a_first_deploy_makes_model_version_and_deployment(plant, provider, echo):
    """The version's id is the digest of the manifest; nothing is run."""
    ref = deploy(plant, echo, scaling=Scaling(max_workers=2))
    assert ref.address == "deployments/gpuhub-tester/lab-echo"
    assert ref.version == Pushed(plant, provider).version
    changed = mutations(provider)
    assert changed[0] == ("POST", "/v1/models")
    assert changed[-2] == ("PUT", "/v2/gpuhub-tester/lab-echo/manifests/latest")
    assert changed[-1] == ("POST", "/v1/deployments")
    sent = {each.path: each.json for each in provider.requests if each.method == "POST"}
    model = sent["/v1/models"]
    assert (model["visibility"], model["hardware"]) == ("private", "cpu")
    assert sent["/v1/deployments"] == {
        "name": "lab-echo",
        "model": "gpuhub-tester/lab-echo",
        "version": ref.version,
        "hardware": "cpu",
        "min_instances": 0,
        "max_instances": 2,
    }


def test_what_is_in_the_image(plant, provider, echo):
    """Code, schema, variables, labels and command, as Cog's server and the registry want them."""
    deploy(plant, echo, env={"A": "1 = é"}, scaling=Scaling(concurrency=3), timeout=90)
    pushed = Pushed(plant, provider)
    files = pushed.files()
    schema = json.loads(files["src/.cog/openapi_schema.json"])
    assert "src/run.py" in files
    assert json.loads(files["src/bundle/manifest.json"])["target"]["qualname"] == "echo"
    assert "src/bundle/runtime/gpuhub/worker/handler.py" in files
    assert schema["components"]["schemas"]["Input"]["required"] == ["payload"]
    assert pushed.env["A"] == "1 = é"
    assert pushed.env["COG_PREDICT_TYPE_STUB"] == "run.py:AsyncRunner"
    assert pushed.env["COG_MAX_CONCURRENCY"] == "3"
    assert pushed.env["GPUHUB_TIMEOUT"] == "90"
    assert "PATH" in pushed.env
    assert pushed.config["Cmd"] == ["python", "-m", "cog.server.http"]
    assert pushed.config["Entrypoint"] == ["/sbin/tini", "--"]
    assert pushed.config["WorkingDir"] == "/src"
    assert pushed.config["ExposedPorts"] == {"5000/tcp": {}}
    assert json.loads(pushed.labels["run.cog.openapi_schema"]) == schema
    assert json.loads(pushed.labels["run.cog.config"])["predict"] == "run.py:AsyncRunner"
    assert pushed.labels["run.cog.version"] == "0.23.1"
    assert pushed.labels["run.cog.has_init"] == "true"
    assert pushed.labels["gpuhub.model"] == "gpuhub-tester/lab-echo"
    below = pushed.settings["rootfs"]["diff_ids"][:-1]
    assert pushed.labels["run.cog.cog-base-image-last-layer-sha"] == below[-1]
    assert pushed.labels["run.cog.cog-base-image-last-layer-idx"] == str(len(below) - 1)


@pytest.mark.parametrize(
    ("name", "runner"),
    [
        ("echo", "Runner"),
        ("later", "AsyncRunner"),
        ("count", "StreamRunner"),
        ("count_later", "AsyncStreamRunner"),
        ("Counter", "Runner"),
    ],
)
def test_the_kind_decides_the_runner(plant, provider, bundle_of, name, runner):
    """And whether the version streams."""
    deploy(plant, bundle_of(name))
    pushed = Pushed(plant, provider)
    assert pushed.env["COG_PREDICT_TYPE_STUB"] == f"run.py:{runner}"
    schema = json.loads(pushed.labels["run.cog.openapi_schema"])
    output = schema["components"]["schemas"]["Output"]
    assert ("x-cog-array-type" in output) == ("Stream" in runner)


def test_an_unchanged_deploy_sends_nothing(plant, provider, echo):
    """Also from another machine, which has no journal."""
    first = deploy(plant, echo)
    mark = len(list(provider.requests))
    assert deploy(plant, echo).version == first.version
    assert mutations(provider, mark) == []


def test_changed_limits_push_nothing(plant, provider, echo):
    """The image is the same; the deployment is told what differs."""
    deploy(plant, echo)
    mark = len(list(provider.requests))
    deploy(plant, echo, scaling=Scaling(min_workers=1, max_workers=4), gpu="T4")
    assert mutations(provider, mark)[-1] == ("PATCH", "/v1/deployments/gpuhub-tester/lab-echo")
    patch = next(each for each in list(provider.requests)[mark:] if each.method == "PATCH")
    assert {name: value for name, value in patch.json.items() if name != "version"} == {
        "hardware": "gpu-t4",
        "min_instances": 1,
        "max_instances": 4,
    }
    mark = len(list(provider.requests))
    deploy(plant, echo, scaling=Scaling(min_workers=0, max_workers=4), gpu="T4")
    patch = next(each for each in list(provider.requests)[mark:] if each.method == "PATCH")
    assert patch.json == {"min_instances": 0}
    assert mutations(provider, mark) == [("PATCH", "/v1/deployments/gpuhub-tester/lab-echo")]


def test_a_second_function_takes_the_bases_layers_over(plant, provider, echo, bundle_of):
    """They are mounted, not sent; a second version sends code, configuration and manifest only."""
    deploy(plant, echo)
    posts = [each.path for each in provider.requests if "mount=" in each.path]
    assert posts
    mark = len(list(provider.requests))
    deploy(plant, echo, env={"A": "2"})
    again = [each for each in list(provider.requests)[mark:] if each.method == "PUT"]
    assert sum(each.size for each in again) < 20_000, "only configuration and manifest"


def test_cog_and_packages_are_layers_of_their_own(make_lab, provider, echo, monkeypatch, tmp_path):
    """What changes least is lowest; PYTHONPATH leads to both."""
    made: list[tuple[Any, ...]] = []

    async def wheels(io_: Any, requirements: Any, *, python: str, cache: Path, prefix: str) -> Any:
        made.append((list(requirements), python, prefix))
        files = {"package.py": " ".join(requirements).encode()}
        return layer_from_files(files, tmp_path, prefix=prefix, comment="wheels")

    monkeypatch.setattr(pushing, "wheels_layer", wheels)
    lab = make_lab(**{**provider.start(), "cog_runtime": "wheels"})
    deploy(lab, echo, image=Image(python="3.11", pip=["numpy>=2"]))
    assert made == [
        (["cog==0.23.1"], "3.11", "opt/gpuhub/cog"),
        (["numpy>=2"], "3.11", "opt/gpuhub/packages"),
    ]
    pushed = Pushed(lab, provider)
    assert pushed.env["PYTHONPATH"] == "/opt/gpuhub/packages:/opt/gpuhub/cog"
    assert list(pushed.files(-3)) == ["opt/gpuhub/cog/package.py"]
    assert list(pushed.files(-2)) == ["opt/gpuhub/packages/package.py"]
    assert "numpy>=2" in pushed.labels["run.cog.pip_freeze"]


def test_hardware_is_what_is_listed_now(plant, provider, echo):
    """The first of the function's choices that Replicate has; else there is none."""
    ref = deploy(plant, echo, gpu=["A40", "T4"])
    listed = plant.run(plant.io.send(plant.plan(echo).request("hardware"))).json()
    has_a40 = any(each["sku"] == "gpu-a40-large" for each in listed)
    sent = next(each.json for each in provider.requests if each.path == "/v1/deployments")
    assert sent["hardware"] == ("gpu-a40-large" if has_a40 else "gpu-t4")
    assert ref.version
    with pytest.raises(NoCapacity, match=r"does not list gpu-of-old .*cpu"):
        deploy(plant, echo, options={"replicate": {"hardware": "gpu-of-old"}})


def test_secrets_go_into_the_image_only_when_allowed(make_lab, provider, echo):
    """And then into nothing else."""
    lab = make_lab(secrets_in_image=True, **provider.start())
    secret = Secret.from_local_env("TOKEN", env="CONTAINER_TOKEN")
    deploy(lab, echo, secrets=[secret])
    assert Pushed(lab, provider).env["CONTAINER_TOKEN"] == "a-secret-value"
    assert "a-secret-value" not in repr(list(provider.requests))
    deploy(lab, echo, secrets=[secret], options={"replicate": {"secrets_in_image": False}})
    assert "CONTAINER_TOKEN" not in Pushed(lab, provider).env


def test_braces_of_the_user_are_not_filled_in(plant, provider, echo):
    """Only gpuhub's own places are."""
    deploy(plant, echo, env={"A": "{{account.username}} {{push.version}}"})
    assert Pushed(plant, provider).env["A"] == "{{account.username}} {{push.version}}"


def test_a_refused_image_is_a_failed_deploy(plant, provider, echo):
    """With the registry's words."""
    provider.fail("crash", on="deploy")
    with pytest.raises(DeployFailed, match="refused the image") as caught:
        deploy(plant, echo)
    assert caught.value.log_tail
    assert caught.value.provider == "replicate"


def test_a_model_that_somebody_else_made_just_now(lab, api):
    """Two deploys at once: the loser goes on with what is there."""
    body = {"owner": "acme", "name": "lab-echo", "visibility": "private", "hardware": "cpu"}
    there = api.get(f"{API}/models/acme/lab-echo")
    there.side_effect = [httpx.Response(404), httpx.Response(200, json={})]
    api.post(f"{API}/models").respond(409, json={"title": "exists"})
    lab.run(_model(lab.io, body))
    there.side_effect = [httpx.Response(404), httpx.Response(404)]
    with pytest.raises(BadRequest, match="exists"):
        lab.run(_model(lab.io, body))


def test_a_deployment_of_another_model_is_not_changed(plant, provider, echo):
    """Replicate cannot; it is not deleted either."""
    deploy(plant, echo)
    with pytest.raises(BadRequest, match="cannot change it to gpuhub-tester/other"):
        deploy(plant, echo, options={"replicate": {"model": "other"}})


def test_errors_name_the_provider(plant, provider, echo):
    """Whatever fails on the way."""
    for operation in ("model", "push", "deploy", "hardware"):
        provider.fail("unauthorized", on=operation)
        with pytest.raises(GpuHubError) as caught:
            deploy(plant, echo, env={"STEP": operation})
        assert caught.value.provider == "replicate", operation
    with pytest.raises(UnsupportedSetting):
        plant.run(plant.adapter.delete(plant.io, reference(address="a/b")))
