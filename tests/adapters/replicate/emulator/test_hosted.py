"""Models of others, files, webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import httpx
import pytest

from gpuhub_replicate.emulator import EmulatorOptions, schema_of
from tests.adapters.replicate.emulator.conftest import LINES, schema
from tests.adapters.waiting import until

FLUX = "models/black-forest-labs/flux-schnell/predictions"
WORDS = "models/meta/meta-llama-3-8b-instruct/predictions"


def waited(account, path, **given):
    """Create a prediction of an official model and wait."""
    answer = account.http.post(path, json={"input": given}, headers={"Prefer": "wait"})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_an_official_model_is_warm(account):
    """Called by name; its version is hidden, its time not on our bill."""
    found = waited(account, FLUX, prompt="a cat", num_outputs=2)
    assert (found["status"], found["version"]) == ("succeeded", "hidden")
    assert len(found["output"]) == 2
    assert account.emulator.billed_seconds.total == 0
    named = {"version": "black-forest-labs/flux-schnell", "input": {"prompt": "x"}}
    answer = account.http.post("predictions", json=named, headers={"Prefer": "wait=5"})
    assert answer.json()["status"] == "succeeded"


def test_files_of_an_output_end_with_its_data(account, clock):
    """Links work without a token, for an hour."""
    found = waited(account, FLUX, prompt="a cat")
    (link,) = found["output"]
    assert link.endswith(".png")
    answer = httpx.get(link, timeout=60)
    assert answer.headers["content-type"] == "image/png"
    assert b'"prompt": "a cat"' in answer.content
    clock.advance(3601)
    assert httpx.get(link, timeout=60).status_code == 404
    assert account.get(found)["data_removed"] is True


def test_defaults_come_from_the_schema(account):
    """What is not sent."""
    (link,) = waited(account, FLUX, prompt="x")["output"]
    assert b'"aspect_ratio": "1:1"' in httpx.get(link, timeout=60).content
    answer = account.http.post(FLUX, json={"input": {"prompt": "x", "aspect_ratio": "2:1"}})
    (wrong,) = answer.json()["invalid_fields"]
    assert wrong["type"] == "enum"


def test_an_official_model_streams(account):
    """Word by word."""
    answer = account.http.post(WORDS, json={"input": {"prompt": "one two three"}})
    text = httpx.get(answer.json()["urls"]["stream"], timeout=60).text
    assert text.count("event: output") == 3
    found = account.ended(answer.json())
    assert found["output"] == ["one", " two", " three"]


def test_others_versions_are_public(account):
    """A community model is called by its version, on shared hardware."""
    model = account.http.get("models/stability-ai/sdxl").json()
    body = {"version": model["latest_version"]["id"], "input": {"prompt": "a dog"}}
    answer = account.http.post("predictions", json=body, headers={"Prefer": "wait"})
    assert answer.json()["status"] == "succeeded"
    assert answer.json()["version"] == model["latest_version"]["id"]
    path = "models/stability-ai/sdxl/predictions"
    assert account.http.post(path, json={"input": {"prompt": "x"}}).status_code == 404


def uploaded(account, content, name="words.txt", **fields):
    """Upload a file; give its description."""
    files = {"content": (name, content, "text/plain")}
    answer = account.http.post("files", files=files, data=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_file_goes_in(account, clock):
    """By its address, which the model can read; and by a data URL."""
    file = uploaded(account, b"spoken words")
    path = "models/openai/whisper/predictions"
    found = waited(account, path, audio=file["urls"]["get"])
    assert found["output"]["transcription"] == "spoken words"
    assert found["input"]["audio"] == file["urls"]["get"]
    assert httpx.get(found["output"]["file"], timeout=60).content == b"spoken words"
    data = "data:text/plain;base64," + base64.b64encode(b"more").decode()
    assert waited(account, path, audio=data)["output"]["transcription"] == "more"
    answer = account.http.post(path, json={"input": {"audio": "no address"}})
    assert answer.json()["invalid_fields"][0]["type"] == "format"


def test_files_are_kept_for_a_day(account, clock):
    """Listed, described, deleted, and gone by themselves."""
    content = bytes(range(256)) * 8
    file = uploaded(account, content, name="all.bin", metadata=json.dumps({"a": 1}))
    assert file["checksums"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert (file["name"], file["size"], file["metadata"]) == ("all.bin", 2048, {"a": 1})
    assert account.http.get(f"files/{file['id']}").json() == file
    assert account.http.get("files").json()["results"] == [file]
    unsigned = httpx.get(f"{account.emulator.url}/v1/files/{file['id']}/download", timeout=60)
    assert unsigned.status_code == 403
    assert account.http.delete(f"files/{file['id']}").status_code == 204
    other = uploaded(account, b"x")
    clock.advance(86_401)
    assert account.http.get(f"files/{other['id']}").status_code == 404


@pytest.mark.parametrize("options", [EmulatorOptions(file_bytes=10)])
def test_a_file_that_is_too_large(account):
    """413; what is no form is 422."""
    assert account.http.post("files", files={"content": b"x" * 11}).status_code == 413
    assert account.http.post("files", files={"content": b"x" * 10}).status_code == 201
    assert account.http.post("files", json={"content": "x"}).status_code == 422
    assert account.http.post("files", files={"other": b"x"}).status_code == 422


def test_files_of_a_pushed_model(account):
    """In as a path, out as a link."""
    runner = """
    from cog import BaseRunner, Path
    class Runner(BaseRunner):
        def run(self, image: Path) -> Path:
            out = Path("/".join((str(image.parent), "out.txt")))
            out.write_bytes(image.read_bytes()[::-1])
            return out
    """
    wanted = schema({"type": "string", "format": "uri"}, image={"type": "string", "format": "uri"})
    file = uploaded(account, b"abc")
    found = account.deployment(runner, document=wanted).run({"image": file["urls"]["get"]})
    assert found["status"] == "succeeded", found
    assert httpx.get(found["output"], timeout=60).content == b"cba"


def test_webhooks_are_signed(account, receiver):
    """As Standard Webhooks says, with the account's secret; in order."""
    deployed = account.deployment()
    begun = deployed.begin("hello", webhook=receiver.url)
    account.emulator.clock.advance(3)
    account.ended(begun)
    until(lambda: receiver.got and json.loads(receiver.got[-1][1])["status"] == "succeeded")
    bodies = [json.loads(body) for _, body in receiver.got]
    assert bodies[0]["status"] == "processing"
    assert bodies[-1] == account.get(begun)
    key = account.http.get("webhooks/default/secret").json()["key"]
    for headers, body in receiver.got:
        signed = f"{headers['Webhook-Id']}.{headers['Webhook-Timestamp']}.".encode() + body
        secret = base64.b64decode(key.removeprefix("whsec_"))
        digest = hmac.new(secret, signed, hashlib.sha256).digest()
        assert headers["Webhook-Signature"] == "v1," + base64.b64encode(digest).decode()


def test_webhooks_of_some_events(account, receiver):
    """Only those that were asked for; the last one again when it is not taken."""
    receiver.refusals = 2
    begun = account.deployment().begin(
        "hello", webhook=receiver.url, webhook_events_filter=["completed"]
    )
    account.emulator.clock.advance(3)
    account.ended(begun)
    until(lambda: len(receiver.got) == 3)
    assert {json.loads(body)["status"] for _, body in receiver.got} == {"succeeded"}
    assert len({headers["Webhook-Id"] for headers, _ in receiver.got}) == 1


def test_output_is_told_now_and_then(account, clock, receiver, tmp_path):
    """At most every half second, however many items come."""
    runner = """
    import time
    from pathlib import Path
    class Runner:
        def run(self, payload: str):
            for number in range(50):
                yield str(number)
            while not Path(payload).exists():
                time.sleep(0.005)
    """
    deployed = account.deployment(runner, document=schema(LINES))
    begun = deployed.begin(
        str(tmp_path / "gate"), webhook=receiver.url, webhook_events_filter=["output"]
    )
    clock.advance(3)
    until(lambda: len(account.get(begun)["output"] or ()) == 50)
    until(lambda: receiver.got)
    assert len(receiver.got) == 1
    clock.advance(0.5)
    until(lambda: len(receiver.got) == 2)
    assert len(json.loads(receiver.got[1][1])["output"]) == 50
    (tmp_path / "gate").touch()
    account.ended(begun)
    assert len(receiver.got) == 2


def test_webhooks_are_https(account):
    """Or on this machine, for tests."""
    deployed = account.deployment()
    assert deployed.post(webhook="http://example.com/hook").status_code == 422
    assert deployed.post(webhook="https://example.com/hook").status_code == 201
    answer = deployed.post(webhook="https://example.com/x", webhook_events_filter=["end"])
    assert answer.status_code == 422


@pytest.mark.parametrize("options", [EmulatorOptions(loopback_webhooks=False)])
def test_no_plain_webhooks_at_all(account):
    """As Replicate itself."""
    answer = account.deployment().post(webhook="http://127.0.0.1:9/hook")
    assert answer.status_code == 422


def test_a_model_can_be_played(account):
    """By a Python function of the test's."""
    wanted = schema_of({"number": {"type": "integer"}}, {"type": "integer"}, required=("number",))
    account.emulator.play("acme/double", lambda given: 2 * given["number"], wanted)
    assert waited(account, "models/acme/double/predictions", number=21)["output"] == 42
    account.emulator.play("acme/broken", lambda given: 1 // given["number"], wanted)
    answer = account.http.post(
        "models/acme/broken/predictions", json={"input": {"number": 0}}, headers={"Prefer": "wait"}
    )
    assert (answer.json()["status"], "division" in answer.json()["error"]) == ("failed", True)
