"""Large values by reference: packed here, followed by the worker, checked on the way."""

from __future__ import annotations

import hashlib
import json
import sys
import uuid

import fsspec
import pytest

from gpuhub import _payload_store
from gpuhub._payload_store import PayloadStore
from gpuhub.errors import AdapterNotInstalled, ConfigError, MalformedResponse, PayloadTooLarge
from gpuhub.worker.handler import Handler
from gpuhub.worker.store import StoreProblem, read_reference, write_reference
from gpuhub.worker.target import Target
from gpuhub.worker.wire import dumps, loads

BIG = ["x" * 100] * 30


@pytest.fixture(scope="session")
def s3():
    """Serve S3 on loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["file", "memory", "s3"])
def store(request, tmp_path, monkeypatch):
    """Give a store on each kind of file system."""
    if request.param == "file":
        yield PayloadStore(f"file://{tmp_path}/store", 1000)
        return
    if request.param == "memory":
        yield PayloadStore(f"memory://{uuid.uuid4()}/store", 1000)
        return
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": request.getfixturevalue("s3"),
    }.items():
        monkeypatch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"bucket-{uuid.uuid4()}"
    fsspec.filesystem("s3").mkdir(bucket)
    yield PayloadStore(f"s3://{bucket}/prefix/", 1000)
    s3fs.S3FileSystem.clear_instance_cache()


def length(texts: list[str], scale: int = 1) -> list[str]:
    """Give the texts back, many times over."""
    return texts * scale


def test_large_arguments_go_to_the_store_and_arrive(store, monkeypatch):
    """The payload gets small; the worker gets the value; a large result comes back the same way."""
    payload = dumps({"texts": BIG, "scale": 2})
    packed = store.pack(payload)
    assert len(packed) < 500
    assert loads(packed)["scale"] == 2
    reference = loads(packed)["texts"]["$gpuhub_ref"]
    assert reference["size"] == len(dumps(BIG))
    assert reference["sha256"] == hashlib.sha256(dumps(BIG)).hexdigest()
    assert reference["url"].startswith(store.url)
    for name, value in store.worker_environment.items():
        monkeypatch.setenv(name, value)
    answer = dumps(Handler(length, Target("m", "length")).invoke(loads(packed)))
    assert len(answer) < 500
    assert loads(store.unpack(answer)) == {"result": BIG * 2}


def test_small_values_travel_directly(store):
    """Below the threshold nothing is stored."""
    payload = dumps({"texts": ["a"]})
    assert store.pack(payload) is payload
    answer = dumps({"result": ["a"]})
    assert store.unpack(answer) is answer


def test_many_small_arguments_stay(store):
    """Only values that are large themselves move."""
    payload = dumps({f"p{number}": "x" * 100 for number in range(20)})
    assert loads(store.pack(payload)) == loads(payload)


def test_the_same_value_is_stored_once(store):
    """Objects are named after their content."""
    assert store.pack(dumps({"a": BIG})) == store.pack(dumps({"a": BIG}))


@pytest.mark.parametrize("damage", [b"", b"x", b"cut"])
def test_damaged_content_is_refused(store, damage):
    """Size and checksum are verified."""
    reference = write_reference(dumps(BIG), store.url)
    content = damage if damage != b"cut" else dumps(BIG)[:-1]
    with fsspec.open(reference["$gpuhub_ref"]["url"], "wb") as file:
        file.write(content)
    with pytest.raises(StoreProblem, match="size or checksum differ"):
        read_reference(reference, store.url)
    with pytest.raises(MalformedResponse, match="size or checksum differ"):
        store.unpack(dumps({"result": reference}))


def test_missing_content_is_reported(store):
    """A store whose lifecycle rule was too quick."""
    digest = "0" * 64
    url = f"{store.url.rstrip('/')}/{digest}.json"
    reference = {"$gpuhub_ref": {"url": url, "sha256": digest, "size": 1}}
    with pytest.raises(StoreProblem, match="cannot read"):
        read_reference(reference, store.url)


def outside(tmp_path, prefix):
    """Give references that point elsewhere, to content that exists."""
    digest = hashlib.sha256(b"[1]").hexdigest()
    (tmp_path / f"{digest}.json").write_bytes(b"[1]")
    (tmp_path / "store").mkdir()
    return [
        {"url": url, "sha256": digest, "size": 3}
        for url in (
            f"file://{tmp_path}/{digest}.json",
            f"{prefix}/../{digest}.json",
            f"{prefix}-other/{digest}.json",
            f"simplecache::{prefix}/{digest}.json",
            "http://127.0.0.1:9/secrets",
        )
    ]


def test_references_out_of_the_store_are_not_followed(tmp_path, monkeypatch):
    """A caller must not make the worker read addresses of the caller's choice."""
    prefix = f"file://{tmp_path}/store"
    monkeypatch.setenv("GPUHUB_PAYLOAD_STORE", prefix)
    handler = Handler(length, Target("m", "length"))
    for reference in outside(tmp_path, prefix):
        report = handler.invoke({"texts": {"$gpuhub_ref": reference}})["gpuhub_error"]
        assert "points outside of the payload store" in report["message"]


def test_without_a_store_no_reference_is_followed(tmp_path):
    """The worker follows references only where its environment names the store."""
    reference = write_reference(b"[]", f"file://{tmp_path}")
    report = Handler(length, Target("m", "length")).invoke({"texts": reference})["gpuhub_error"]
    assert "GPUHUB_PAYLOAD_STORE is not set" in report["message"]


@pytest.mark.parametrize(
    "reference",
    [
        "x",
        {},
        {"url": "u", "sha256": "0" * 63, "size": 1},
        {"url": "u", "sha256": "0" * 64, "size": -1},
        {"url": "u", "sha256": "0" * 64, "size": "1"},
        {"url": "u", "sha256": "0" * 64, "size": 1, "more": 1},
    ],
)
def test_broken_references_are_refused(reference):
    """All three facts, nothing else."""
    with pytest.raises(StoreProblem, match="has url, sha256"):
        read_reference({"$gpuhub_ref": reference}, "file:///x")


def test_a_store_that_fails_is_reported(tmp_path):
    """Before anything is sent to the provider."""
    (tmp_path / "file").write_text("")
    store = PayloadStore(f"file://{tmp_path}/file/store", 10)
    with pytest.raises(PayloadTooLarge, match=r"the argument a has .* payload store failed"):
        store.pack(dumps({"a": BIG}))
    with pytest.raises(StoreProblem, match=r"cannot open nosuch://x/"):
        write_reference(b"1", "nosuch://x")


def test_workers_without_fsspec_say_what_to_add(monkeypatch, tmp_path):
    """The image lacks it: the message names the package."""
    reference = write_reference(b"[]", f"file://{tmp_path}")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(StoreProblem, match=r'add "fsspec".* to the image'):
        read_reference(reference, f"file://{tmp_path}")


def test_clients_without_fsspec_say_what_to_install(monkeypatch):
    """Before the first call."""
    monkeypatch.setattr(_payload_store, "find_spec", lambda name: None)
    with pytest.raises(AdapterNotInstalled) as caught:
        PayloadStore("s3://bucket")
    assert 'pip install "gpuhub-sdk[store]"' in caught.value.next_step


def test_the_store_is_a_url():
    """A path or a bucket's name alone is refused."""
    with pytest.raises(ConfigError, match="payload_store is a URL"):
        PayloadStore("bucket/prefix")


@pytest.mark.parametrize(
    "answer", [b'{"$gpuhub_ref":', b'["$gpuhub_ref"]', b'{"result":{"$gpuhub_ref":1,"b":2}}']
)
def test_other_answers_are_left_to_the_codec(tmp_path, answer):
    """What only looks like a reference is not touched."""
    assert PayloadStore(f"file://{tmp_path}").unpack(answer) is answer


def test_a_users_own_reference_like_value_is_safe():
    """A dict of the user's that looks like a reference is escaped by the codec."""
    from gpuhub.codec import TaggedCodec

    payload = TaggedCodec().encode_call((), {"a": {"$gpuhub_ref": {"url": "u"}}})
    assert json.loads(payload)["a"]["$gpuhub"] == "dict"
