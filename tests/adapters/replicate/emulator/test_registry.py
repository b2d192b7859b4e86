"""The registry on the emulator: logins, uploads, mounts, and what becomes a version."""

from __future__ import annotations

import json
from functools import partial

import httpx
import pytest

from gpuhub_replicate.emulator import EmulatorOptions
from tests.adapters.replicate.emulator.conftest import MANIFEST, digest_of, labels_of, schema

TESTED = "gpuhub-tester/tested"
get, post = partial(httpx.get, timeout=60), partial(httpx.post, timeout=60)


def code(answer):
    """Give the registry's error code."""
    return answer.json()["errors"][0]["code"]


def test_the_version_is_the_manifests_digest(account):
    """And the same push again is the same version."""
    account.model()
    first, second = account.push(), account.push()
    assert first.status_code == second.status_code == 201
    version = first.headers["docker-content-digest"].removeprefix("sha256:")
    listed = account.http.get(f"models/{TESTED}/versions").json()["results"]
    assert [each["id"] for each in listed] == [version]
    stored = account.registry.get(f"{TESTED}/manifests/latest")
    assert digest_of(stored.content) == f"sha256:{version}"
    assert stored.headers["content-type"] == MANIFEST
    head = account.registry.head(f"{TESTED}/manifests/sha256:{version}")
    assert head.headers["content-length"] == str(len(stored.content))


def test_a_model_must_exist(account):
    """``NAME_UNKNOWN``, in the words that users know."""
    answer = account.registry.post(f"{TESTED}/blobs/uploads/")
    assert (answer.status_code, code(answer)) == (404, "NAME_UNKNOWN")
    assert "model does not exist" in answer.text


def test_others_may_not_be_pushed_to(account):
    """Neither models nor base images."""
    for path in ("stability-ai/sdxl", "cog-base"):
        answer = account.registry.post(f"{path}/blobs/uploads/")
        assert (answer.status_code, code(answer)) == (403, "DENIED")


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"run.cog.version": "1"},
        {**labels_of(schema()), "run.cog.config": "no JSON"},
        {**labels_of(schema()), "run.cog.openapi_schema": "{}"},
    ],
)
def test_an_image_must_look_like_cogs(account, labels):
    """Without the labels it is refused, and there is no version."""
    account.model()
    answer = account.push(labels=labels)
    assert (answer.status_code, code(answer)) == (400, "MANIFEST_INVALID")
    assert "doesn't look like it was built with Cog" in answer.text
    assert account.http.get(f"models/{TESTED}/versions").json()["results"] == []


def test_one_image_is_a_version_of_one_model(account):
    """The same manifest cannot go to a second one."""
    account.model()
    account.model("second")
    assert account.push().status_code == 201
    answer = account.push(path="gpuhub-tester/second")
    assert (answer.status_code, code(answer)) == (400, "MANIFEST_INVALID")


def test_a_broken_build(account):
    """As a fault: the registry refuses the image, the one before stays."""
    first = account.version()
    account.emulator.fail("crash", on="deploy")
    answer = account.push(env=("OTHER=1",))
    assert (answer.status_code, code(answer)) == (400, "MANIFEST_INVALID")
    listed = account.http.get(f"models/{TESTED}/versions").json()["results"]
    assert [each["id"] for each in listed] == [first]
    assert account.push(env=("OTHER=1",)).status_code == 201


def test_uploads_in_chunks(account):
    """They go on where they are, and end with the right digest only."""
    account.model()
    content = bytes(range(256)) * 40
    place = account.registry.post(f"{TESTED}/blobs/uploads/").headers["location"]
    url = f"{account.emulator.url}{place}"
    first = account.registry.patch(url, content=content[:4000], headers={"Content-Range": "0-3999"})
    assert (first.status_code, first.headers["range"]) == (202, "0-3999")
    wrong = account.registry.patch(url, content=b"x", headers={"Content-Range": "9-9"})
    assert (wrong.status_code, code(wrong)) == (416, "RANGE_INVALID")
    assert account.registry.get(url).headers["range"] == "0-3999"
    account.registry.patch(url, content=content[4000:])
    done = account.registry.put(url, params={"digest": digest_of(content)})
    assert done.status_code == 201
    assert account.registry.get(f"{TESTED}/blobs/{digest_of(content)}").content == content
    gone = account.registry.put(url, params={"digest": digest_of(content)})
    assert (gone.status_code, code(gone)) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_a_wrong_digest(account):
    """Of a blob, and of a manifest."""
    account.model()
    place = account.registry.post(f"{TESTED}/blobs/uploads/").headers["location"]
    url = f"{account.emulator.url}{place}"
    answer = account.registry.put(url, content=b"x", params={"digest": digest_of(b"y")})
    assert (answer.status_code, code(answer)) == (400, "DIGEST_INVALID")
    reference = digest_of(b"other")
    answer = account.registry.put(f"{TESTED}/manifests/{reference}", content=b"{}")
    assert (answer.status_code, code(answer)) == (400, "DIGEST_INVALID")


def test_a_manifest_of_what_is_not_there(account):
    """Its blobs must have been pushed or mounted."""
    account.model()
    base = account.registry.get("cog-base/manifests/python3.11").content
    answer = account.registry.put(f"{TESTED}/manifests/latest", content=base)
    assert (answer.status_code, code(answer)) == (400, "MANIFEST_BLOB_UNKNOWN")
    answer = account.registry.put(f"{TESTED}/manifests/latest", content=b"no JSON")
    assert (answer.status_code, code(answer)) == (400, "MANIFEST_INVALID")


def test_base_images(account):
    """Read without a login; those of the matrix are there, others are not."""
    url = f"{account.emulator.url}/v2/cog-base"
    for tag in ("python3.13", "cuda12.4-python3.11", "cuda12.8-python3.12-torch2.9.1"):
        found = get(f"{url}/manifests/{tag}")
        assert found.status_code == 200, tag
        config = get(f"{url}/blobs/{found.json()['config']['digest']}").json()
        assert config["config"]["Entrypoint"] == ["/sbin/tini", "--"]
        assert config["architecture"] == "amd64"
    assert get(f"{url}/manifests/python2.7").status_code == 404
    assert "python3.12" in get(f"{url}/tags/list").json()["tags"]


def test_a_mount_of_what_is_not_there(account):
    """Begins an upload instead."""
    account.model()
    query = {"mount": digest_of(b"none"), "from": "cog-base"}
    answer = account.registry.post(f"{TESTED}/blobs/uploads/", params=query)
    assert answer.status_code == 202
    assert answer.headers["location"]


@pytest.mark.parametrize(
    "options", [EmulatorOptions(tokens=frozenset({"api"}), registry_tokens=frozenset({"cog"}))]
)
def test_a_basic_login(account):
    """The account's name and an accepted token; who has none is asked for one."""
    url = f"{account.emulator.url}/v2/"
    asked = get(url)
    assert asked.status_code == 401
    assert asked.headers["www-authenticate"] == 'Basic realm="r8.im"'
    assert get(url, auth=("gpuhub-tester", "cog")).status_code == 200
    assert get(url, auth=("gpuhub-tester", "api")).status_code == 401
    assert get(url, auth=("someone", "cog")).status_code == 401
    verify = f"{account.emulator.url}/cog/v1/verify-token"
    assert post(verify, data={"token": "cog"}).json() == {"username": "gpuhub-tester"}
    assert post(verify, data={"token": "api"}).status_code == 404
    assert all("cog" not in json.dumps(each.json) for each in account.emulator.requests)


@pytest.mark.parametrize("options", [EmulatorOptions(registry_login="bearer")])
def test_a_bearer_login(account):
    """A token for what is wanted, and for nothing else."""
    account.model()
    url = f"{account.emulator.url}/v2/{TESTED}/blobs/uploads/"
    challenge = post(url).headers["www-authenticate"]
    assert f'scope="repository:{TESTED}:pull,push"' in challenge
    token_url = f"{account.emulator.url}/token"
    query = {"service": "r8.im", "scope": f"repository:{TESTED}:pull"}
    auth = ("gpuhub-tester", "made-up")
    weak = get(token_url, params=query, auth=auth).json()["token"]
    assert post(url, headers={"Authorization": f"Bearer {weak}"}).status_code == 401
    query["scope"] += ",push"
    token = get(token_url, params=query, auth=auth).json()["token"]
    assert post(url, headers={"Authorization": f"Bearer {token}"}).status_code == 202
    assert get(token_url, params=query, auth=("someone", "x")).status_code == 401
    anonymous = get(token_url, params=query).json()["token"]
    assert post(url, headers={"Authorization": f"Bearer {anonymous}"}).status_code == 401


def test_only_the_own_layers_are_unpacked(account):
    """With the image's variables, its paths put where the layers are."""
    runner = """
    import os, sys, extra
    class Runner:
        def run(self, payload: str) -> str:
            return "|".join((os.getcwd(), os.environ["PLACE"], extra.WORD, sys.path[1]))
    """
    files = {"opt/packages/extra.py": "WORD = 'found'\n"}
    found = account.deployment(runner, files=files, env=("PLACE=a=b",)).run()["output"]
    folder, place, word, packages = found.split("|")
    assert folder.endswith("/src")
    assert (place, word) == ("a=b", "found")
    assert packages == folder.removesuffix("src") + "opt/packages"
