"""Deploying on the emulator: what is pushed, what is sent again, and what is left at the end."""

from __future__ import annotations

import io
import json
import stat
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

import gpuhub
from gpuhub.errors import (
    AuthFailed,
    BadRequest,
    DeployFailed,
    GpuHubError,
    MissingCredentials,
    NoCapacity,
    NotFound,
    SpecError,
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
from gpuhub_replicate import pushing, wire
from gpuhub_replicate.deploying import _model
from tests.adapters.replicate.answers import API, OURS, VERSION, deployment, reference, version

MUTATIONS = ("POST", "PUT", "PATCH", "DELETE")


def deploy(lab: Any, bundle: Any, **settings: Any) -> Any:
    """Deploy below the engine."""
    secrets = {"TOKEN": SecretStr("a-secret-value")}
    plan = lab.plan(bundle, **settings).with_facts(secret_values=secrets)
    return lab.run(lab.adapter.deploy(lab.io, plan, None))


def mutations(provider: Any, mark: int = 0) -> list[tuple[str, str]]:
    """Give the changing requests since a mark."""
    return [
        (each.method, each.path.partition("?")[0])
        for each in list(provider.requests)[mark:]
        if each.method in MUTATIONS
    ]


@pytest.fixture
def echo(bundle_of: Any) -> Any:
    """The bundle of a function that gives its argument back."""
    return bundle_of("echo")


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
    lab = make_lab(**provider.start())
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
    lab = make_lab(cog_runtime="base", secrets_in_image=True, **provider.start())
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


# --------------------------------------------------------------------------------------- login


def test_the_registry_is_asked_whose_the_token_is(make_lab, api):
    """Cog's token before the API's."""
    route = api.post("https://r8.im/cog/v1/verify-token").respond(json={"username": "acme"})
    lab = make_lab()
    login = lab.run(pushing.login_of(lab.io, lab.adapter._defaults))
    assert (login.username, login.password.get_secret_value()) == ("acme", "r8_SECRET")
    assert route.calls.last.request.content == b"token=r8_SECRET"
    assert "authorization" not in route.calls.last.request.headers


def test_cogs_own_token_is_preferred(make_lab, api):
    """It may hold anything that a form can."""
    route = api.post("https://r8.im/cog/v1/verify-token").respond(json={"username": "acme"})
    lab = make_lab(registry_token="a+b/c=")
    login = lab.run(pushing.login_of(lab.io, lab.adapter._defaults))
    assert login.password.get_secret_value() == "a+b/c="
    assert route.calls.last.request.content == b"token=a%2Bb%2Fc%3D"


def test_what_cog_login_left_is_used(make_lab, api, tmp_path, monkeypatch):
    """Before the API token, which the registry may not take."""
    place = tmp_path / "docker"
    place.mkdir()
    logins = {"auths": {"r8.im": {"username": "acme", "password": "cli"}}}
    (place / "config.json").write_text(json.dumps(logins))
    monkeypatch.setenv("DOCKER_CONFIG", str(place))
    lab = make_lab()
    login = lab.run(pushing.login_of(lab.io, lab.adapter._defaults))
    assert (login.username, login.password.get_secret_value()) == ("acme", "cli")
    assert not api.calls


def test_a_token_that_the_registry_does_not_know(make_lab, api):
    """Says which one to set."""
    api.post("https://r8.im/cog/v1/verify-token").respond(404, text="no")
    lab = make_lab()
    with pytest.raises(AuthFailed, match="COG_TOKEN") as caught:
        lab.run(pushing.login_of(lab.io, lab.adapter._defaults))
    assert "r8_SECRET" not in str(caught.value)


def test_without_any_token(make_lab, api):
    """Nothing is asked."""
    lab = make_lab()
    bare = replace(lab.adapter._defaults, api_token=None)
    with pytest.raises(MissingCredentials, match="COG_TOKEN"):
        lab.run(pushing.login_of(lab.io, bare))


def test_a_version_that_never_appears(lab, api):
    """Pushed, but not made a version of: a failure after five minutes."""
    api.get(f"{API}/models/acme/m/versions/{VERSION}").respond(404)
    with pytest.raises(DeployFailed, match="made no version"):
        lab.run(pushing.appears(lab.io, "acme/m", VERSION))


# ---------------------------------------------------------------------------- looking, changing


def test_another_machine_finds_what_was_deployed(plant, echo):
    """With what it has to know of it."""
    deploy(plant, echo, scaling=Scaling(concurrency=2))
    ref = plant.run(plant.adapter.find(plant.io, "lab-echo"))
    assert ref.made_by_gpuhub
    assert ref.data["concurrency"] == "2"
    assert ref.revision == "1"
    assert "wire" not in ref.data
    assert plant.run(plant.adapter.find(plant.io, "lab-nothing")) is None


def test_the_account_is_asked_once(lab, api):
    """Or never, with an owner in the settings."""
    account = api.get(f"{API}/account").respond(json={"username": "acme"})
    api.get(f"{API}/deployments/acme/a").respond(404)
    for _ in range(2):
        assert lab.run(lab.adapter.find(lab.io, "a")) is None
    assert account.call_count == 1


def test_an_owner_in_the_settings(make_lab, api):
    """An organization's, for a token of one of its members."""
    lab = make_lab(owner="acme")
    api.get(f"{API}/deployments/acme/a").respond(404)
    assert lab.run(lab.adapter.find(lab.io, "a")) is None


def test_a_version_that_cannot_be_read_is_nobodys(lab, api):
    """Hidden ones: its answers are taken as they come, under the result."""
    api.get(f"{API}/account").respond(json={"username": "acme"})
    api.get(f"{API}/deployments/acme/lab-echo").respond(json=deployment())
    api.get(f"{API}/models/acme/lab-echo/versions/{VERSION}").respond(404)
    ref = lab.run(lab.adapter.find(lab.io, "lab-echo"))
    assert ref.data["wire"] == "bare"


def test_status_says_what_replicate_tells(plant, echo):
    """Limits, hardware and version; no workers and no queue."""
    ref = deploy(plant, echo, scaling=Scaling(max_workers=2))
    found = plant.run(plant.adapter.status(plant.io, ref))
    assert found.rollout.value == "ready"
    assert found.version == ref.version
    assert (found.workers, found.queue_depth) == (None, None)
    assert found.scaling == {"min_workers": 0, "max_workers": 2}
    assert "cpu" in found.detail


@pytest.mark.parametrize(
    ("scaling", "words"),
    [
        (Scaling(concurrency=2), "concurrency .it is in the image"),
        (Scaling(target_in_flight=2), "target_in_flight"),
        (Scaling(buffer_workers=1), "buffer_workers"),
    ],
)
def test_a_live_deployment_changes_its_limits_only(lab, api, scaling, words):
    """What is in the image needs a deploy; what Replicate has not is refused."""
    with pytest.raises(SpecError, match=words):
        lab.run(lab.adapter.scale(lab.io, reference(), scaling))
    assert not api.calls


def test_a_rollback_keeps_hardware_and_limits(plant, provider, echo):
    """It is a release with an older version."""
    first = deploy(plant, echo, env={"A": "1"})
    second = deploy(plant, echo, env={"A": "2"}, scaling=Scaling(max_workers=7))
    listed = plant.run(plant.adapter.versions(plant.io, second))
    assert [each.id for each in listed] == [second.version, first.version]
    assert [each.current for each in listed] == [True, False]
    back = plant.run(plant.adapter.rollback(plant.io, second, first.version))
    assert back.version == first.version
    assert back.revision == "3"
    found = plant.run(plant.adapter.status(plant.io, back))
    assert found.scaling["max_workers"] == 7


def test_versions_come_in_pages(lab, api):
    """All of them are read."""
    api.get(f"{API}/deployments/acme/lab-echo").respond(json=deployment())
    place = f"{API}/models/acme/lab-echo/versions"
    pages = [
        {"results": [version()], "next": f"{place}?cursor=2"},
        {"results": [version(number="cd" * 32)], "next": None},
    ]
    api.get(place).side_effect = [httpx.Response(200, json=each) for each in pages]
    found = lab.run(lab.adapter.versions(lab.io, reference()))
    assert [each.id for each in found] == [VERSION, "cd" * 32]


def test_limits_that_somebody_changed_are_put_back(provider, make_lab, shop):
    """The unchanged function is deployed again: the release is another one than the journal's."""
    lab = make_lab(cog_runtime="base", **provider.start())
    function = gpuhub.function(scaling=Scaling(max_workers=2))(shop.echo)
    function = function.in_workspace(lab.workspace)
    endpoint = function.deploy()
    patch = wire.patch_deployment("gpuhub-tester", endpoint.name, {"max_instances": 9})
    lab.run(lab.io.send(patch))
    assert endpoint.status().scaling["max_workers"] == 9
    function.deploy()
    assert endpoint.status().scaling["max_workers"] == 2


# ------------------------------------------------------------------------------------- removal


def test_a_delete_has_two_steps(plant, provider, echo):
    """Off at once; gone when Replicate lets it go, with versions and model."""
    ref = deploy(plant, echo)
    plant.run(plant.adapter.submit(plant.io, ref, b'{"value":1}', gpuhub.adapter.CallOptions()))
    provider.clock.advance(60)
    plant.run(plant.adapter.delete(plant.io, ref))
    assert provider.orphans() == []
    assert plant.run(plant.adapter.find(plant.io, ref.name)) is None
    status = plant.run(plant.adapter.status(plant.io, ref))
    assert status.rollout.value == "stopped"
    assert plant.run(plant.adapter.finish_deletes(plant.io)) == []
    provider.clock.advance(16 * 60)
    done = plant.run(plant.adapter.finish_deletes(plant.io))
    assert done == ["gpuhub-tester/lab-echo"]
    with pytest.raises(NotFound):
        plant.run(plant.adapter.status(plant.io, ref))
    changed = mutations(provider)
    assert ("DELETE", "/v1/models/gpuhub-tester/lab-echo") in changed


def test_a_deploy_switches_it_on_again(plant, provider, echo):
    """Before it is gone: nothing is pushed."""
    ref = deploy(plant, echo)
    plant.run(plant.adapter.delete(plant.io, ref))
    mark = len(list(provider.requests))
    again = deploy(plant, echo)
    if again.revision != "1":
        paths = {path for _, path in mutations(provider, mark)}
        assert paths == {"/v1/deployments/gpuhub-tester/lab-echo"}
    assert plant.run(plant.adapter.find(plant.io, ref.name)) is not None


def test_only_what_is_gpuhubs_is_finished(lab, api):
    """Somebody else's deployment that is off stays; pages are read to the end."""
    off = {"min_instances": 0, "max_instances": 0}
    theirs = deployment(name="theirs", configuration=off)
    theirs["current_release"]["model"] = "acme/theirs"
    ours = deployment(configuration=off)
    place = f"{API}/deployments"
    pages = [
        {"results": [theirs, deployment(name="on")], "next": f"{place}?cursor=2"},
        {"results": [ours], "next": None},
    ]
    api.get(place).side_effect = [httpx.Response(200, json=each) for each in pages]
    foreign: dict[str, Any] = {"components": {"schemas": {"Input": {"properties": {"prompt": {}}}}}}
    api.get(f"{API}/models/acme/theirs/versions/{VERSION}").respond(json=version(foreign))
    api.get(f"{API}/models/acme/lab-echo/versions/{VERSION}").respond(json=version(OURS))
    gone = api.delete(f"{API}/deployments/acme/lab-echo").respond(204)
    api.get(f"{API}/models/acme/lab-echo/versions").respond(json={"results": [version()]})
    api.delete(f"{API}/models/acme/lab-echo/versions/{VERSION}").respond(202)
    api.delete(f"{API}/models/acme/lab-echo").respond(400, json={"detail": "not yet"})
    assert lab.run(lab.adapter.finish_deletes(lab.io)) == ["acme/lab-echo"]
    assert gone.call_count == 1


# ---------------------------------------------------------------------------------- other ways


def test_a_version_that_exists_is_deployed(plant, provider, echo, tmp_path, shop):
    """No code travels; the function's names are the version's inputs, its result the output."""
    sdxl = gpuhub.Endpoint.connect("replicate://stability-ai/sdxl", workspace=plant.workspace)
    number = f"stability-ai/sdxl:{sdxl.version}"
    ref = deploy(plant, echo, gpu="T4", options={"replicate": {"version": number}})
    assert mutations(provider) == [("POST", "/v1/deployments")]
    assert ref.data["wire"] == "bare"
    options = gpuhub.adapter.CallOptions(60.0, 60.0)
    state = plant.run(plant.adapter.submit(plant.io, ref, b'{"prompt":"a cat"}', options))
    while not state.phase.is_terminal:
        provider.clock.advance(5)
        state = plant.run(plant.adapter.poll(plant.io, state.ref, 0))
    assert list(json.loads(state.output)) == ["result"]
    with pytest.raises(SpecError, match="promt"):
        plant.run(plant.adapter.submit(plant.io, ref, b'{"promt":"a cat"}', options))


@pytest.fixture
def cog_cli(tmp_path: Path, monkeypatch: Any) -> Path:
    """Programs called cog and docker, which write down what they are given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    lines = ["#!/bin/sh", 'echo "$@" > "{0}/said"', 'cp -r . "{0}/project"', "echo building"]
    script = "\n".join([*lines, 'exit "${{COG_EXIT:-0}}"', ""])
    for name in ("cog", "docker"):
        place = folder / name
        place.write_text(script.format(tmp_path))
        place.chmod(place.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return tmp_path


def test_cogs_cli_builds_where_it_is_there(make_lab, api, echo, cog_cli):
    """From a project that is written for it; the version is the model's latest."""
    lab = make_lab(mode="cog", owner="acme")
    api.get(f"{API}/hardware").respond(json=[{"name": "CPU", "sku": "cpu"}])
    latest = {"owner": "acme", "name": "lab-echo", "latest_version": version()}
    api.get(f"{API}/models/acme/lab-echo").respond(json=latest)
    api.get(f"{API}/deployments/acme/lab-echo").respond(404)
    api.get(f"{API}/models/acme/lab-echo/versions/{VERSION}").respond(json=version())
    create = api.post(f"{API}/deployments").respond(json=deployment())
    image = Image(python="3.12", pip="numpy", apt="ffmpeg", commands="true")
    deploy(lab, echo, image=image, env={"A": "1"}, scaling=Scaling(concurrency=2))
    assert (cog_cli / "said").read_text() == "push r8.im/acme/lab-echo\n"
    project = cog_cli / "project"
    config = json.loads((project / "cog.yaml").read_text())
    assert config["run"] == "run.py:AsyncRunner"
    assert config["build"]["system_packages"] == ["ffmpeg"]
    assert config["concurrency"] == {"max": 2}
    assert config["environment"] == ["A=1", "GPUHUB_TIMEOUT=300"]
    assert (project / "run.py").is_file()
    assert (project / "bundle" / "manifest.json").is_file()
    assert json.loads(create.calls.last.request.content)["version"] == VERSION


def test_cogs_cli_may_fail_or_be_missing(make_lab, api, echo, cog_cli, monkeypatch):
    """Its words are the log."""
    lab = make_lab(mode="cog", owner="acme")
    api.get(f"{API}/hardware").respond(json=[{"name": "CPU", "sku": "cpu"}])
    api.get(f"{API}/models/acme/lab-echo").respond(json={})
    monkeypatch.setenv("COG_EXIT", "3")
    with pytest.raises(DeployFailed, match="exit code 3") as caught:
        deploy(lab, echo)
    assert caught.value.log_tail == ("building",)
    (cog_cli / "bin" / "docker").unlink()
    with pytest.raises(DeployFailed, match="docker is not on the path"):
        deploy(lab, echo)


# ---------------------------------------------------------------------------------------- logs


def test_logs_are_those_of_the_deployments_predictions(lab, api):
    """Oldest first; the list may come without them; those of others stay out."""

    def listed(number: int, **facts: Any) -> dict[str, Any]:
        at = f"2026-11-20T10:00:0{number}Z"
        given = {
            "id": f"p{number}",
            "created_at": at,
            "started_at": at,
            "status": "succeeded",
            "deployment": "acme/lab-echo",
        }
        return {**given, **facts}

    place = f"{API}/predictions"
    pages = [
        {
            "results": [listed(3, logs="c\n"), listed(2, deployment="acme/other", logs="x")],
            "next": f"{place}?cursor=2",
        },
        {"results": [listed(1), listed(0, deployment=None, model="acme/lab-echo")], "next": None},
    ]
    route = api.get(place)
    route.side_effect = [httpx.Response(200, json=each) for each in pages]
    api.get(f"{place}/p1").respond(json=listed(1, logs="a\nb\n"))
    api.get(f"{place}/p0").respond(404)
    lines = lab.items(lab.adapter.logs(lab.io, reference(), None, follow=False))
    assert [line.message for line in lines] == ["a", "b", "c"]
    assert lines[0].time < lines[-1].time
    route.side_effect = [httpx.Response(200, json=each) for each in pages]
    since = lines[-1].time - 0.5
    lines = lab.items(lab.adapter.logs(lab.io, reference(), since, follow=False))
    assert [line.message for line in lines] == ["c"]


def test_followed_logs_are_told_once(lab, api):
    """A prediction that runs gets longer."""
    at = "2026-11-20T10:00:00Z"
    logs = iter(["a\n", "a\nb\n", "a\nb\nc\n"])

    def answer(_request: Any) -> Any:
        entry = {
            "id": "p1",
            "created_at": at,
            "status": "processing",
            "logs": next(logs),
            "deployment": "acme/lab-echo",
        }
        return httpx.Response(200, json={"results": [entry], "next": None})

    api.get(f"{API}/predictions").mock(side_effect=answer)

    async def first_three() -> list[str]:
        found = []
        async for line in lab.adapter.logs(lab.io, reference(), None, follow=True):
            found.append(line.message)
            if len(found) == 3:
                break
        return found

    assert lab.run(first_three()) == ["a", "b", "c"]


def test_errors_name_the_provider(plant, provider, echo):
    """Whatever fails on the way."""
    for operation in ("model", "push", "deploy", "hardware"):
        provider.fail("unauthorized", on=operation)
        with pytest.raises(GpuHubError) as caught:
            deploy(plant, echo, env={"STEP": operation})
        assert caught.value.provider == "replicate", operation
    with pytest.raises(UnsupportedSetting):
        plant.run(plant.adapter.delete(plant.io, reference(address="a/b")))
