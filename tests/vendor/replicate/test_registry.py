"""What gpuhub pushes: to Debian's real registry, with Cog's real runtime, read by skopeo."""

from __future__ import annotations

import hashlib
import json

import pytest

from gpuhub_replicate.emulator import EmulatorOptions
from tests.registry.conftest import start_registry  # noqa: F401 - a fixture
from tests.vendor.replicate.conftest import TOKEN

pytestmark = [pytest.mark.sdk, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def registry(start_registry):  # noqa: F811 - that fixture
    """Open to everybody on this machine."""
    return start_registry("")


@pytest.fixture
def options(registry):
    """The registry keeps what is pushed, Cog's own server runs it."""
    return EmulatorOptions(
        workers="coglet",
        cold_start_s=0.05,
        tokens=frozenset({TOKEN}),
        registry_upstream=f"http://{registry.address}",
    )


def inspected(registry, emulator, name):
    """Give what skopeo says about an image, and its manifest."""
    image = f"docker://{registry.address}/{emulator.username}/{name}:latest"
    seen = json.loads(registry.skopeo("inspect", "--tls-verify=false", image))
    raw = registry.skopeo("inspect", "--tls-verify=false", "--raw", image)
    config = json.loads(registry.skopeo("inspect", "--tls-verify=false", "--config", image))
    return seen, raw, config


def test_the_version_is_what_skopeo_sees(registry, emulator, vendor, ours):
    """Three that compute the digest agree; the image is one that Cog's own tools would make."""
    endpoint = ours.deploy("combine", env={"PLACE": "here"})
    name = endpoint.ref.address.rpartition("/")[2]
    seen, raw, config = inspected(registry, emulator, name)
    assert hashlib.sha256(raw.encode()).hexdigest() == endpoint.version
    assert seen["Digest"] == f"sha256:{endpoint.version}"
    (versions,) = vendor.do(["versions", f"{emulator.username}/{name}"])
    assert versions == [endpoint.version]
    run = config["config"]
    assert run["WorkingDir"] == "/src"
    assert run["Entrypoint"] == ["/sbin/tini", "--"]
    assert run["Cmd"] == ["python", "-m", "cog.server.http"]
    assert "5000/tcp" in run["ExposedPorts"]
    assert "PLACE=here" in run["Env"]
    assert any(line.startswith("COG_PREDICT_TYPE_STUB=run.py:") for line in run["Env"])
    labels = seen["Labels"]
    assert {"run.cog.version", "run.cog.config", "run.cog.openapi_schema"} <= set(labels)
    assert labels["run.cog.has_init"] == "true"
    assert len(config["rootfs"]["diff_ids"]) == len(seen["Layers"])


def test_it_runs_in_cogs_own_server(emulator, vendor, ours):
    """Asked by both clients."""
    endpoint = ours.deploy("combine")
    assert endpoint.invoke(1, scale=2) == 22
    name = endpoint.ref.address.rpartition("/")[2]
    given = {"payload": json.dumps({"left": 1})}
    (found,) = vendor.do(["predict", f"{emulator.username}/{name}", given])
    assert json.loads(found["output"]) == {"result": 11}


def test_unchanged_layers_are_not_sent_again(registry, emulator, ours):
    """Another setting is another manifest and configuration, and nothing else."""
    ours.deploy("echo", env={"PLACE": "one"})
    mark = len(emulator.requests)
    ours.deploy("echo", env={"PLACE": "two"})
    pushed = [each for each in list(emulator.requests)[mark:] if each.operation == "push"]
    sent = [each for each in pushed if each.size]
    assert len(sent) == 2
    assert sum(each.size for each in sent) < 20_000
    assert sent[-1].path.endswith("/manifests/latest")


def test_both_versions_are_kept(registry, emulator, ours):
    """The first one serves again after a rollback."""
    first = ours.deploy("variable", env={"CONTRACT_PLACE": "first"})
    version = first.version
    second = ours.deploy("variable", env={"CONTRACT_PLACE": "second"})
    assert second.invoke("CONTRACT_PLACE") == "second"
    second.rollback(version)
    assert second.invoke("CONTRACT_PLACE") == "first"
    name = second.ref.address.rpartition("/")[2]
    image = f"docker://{registry.address}/{emulator.username}/{name}@sha256:{version}"
    assert json.loads(registry.skopeo("inspect", "--tls-verify=false", image))["Layers"]
