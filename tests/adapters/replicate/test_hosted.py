"""Models of others: connecting, inputs checked against their schema, files in and out."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

import gpuhub
from gpuhub.adapter import CallOptions, CallRef
from gpuhub.errors import NotFound, PayloadTooLarge, SpecError, UnsupportedSetting
from gpuhub.scaling import Scaling
from gpuhub_replicate import OutputFile, output_files
from gpuhub_replicate.inputs import check_input
from gpuhub_replicate.schema import input_schema
from gpuhub_replicate.uploads import with_uploads
from tests.adapters.replicate.answers import (
    API,
    PROMPTED,
    VERSION,
    deployment,
    prediction,
    reference,
    version,
)

SCHEMA = input_schema(PROMPTED)


def connect(lab: Any, address: str, scheme: str = "replicate") -> Any:
    """Connect, below the engine."""
    return lab.run(lab.adapter.connect(lab.io, scheme, address))


def model(*, is_official: bool | None, latest: Any = None) -> dict[str, Any]:
    """Give a model."""
    official = {} if is_official is None else {"is_official": is_official}
    return {"owner": "meta", "name": "llama", "latest_version": latest, **official}


@pytest.mark.parametrize(
    ("is_official", "latest", "route"),
    [
        (True, version(PROMPTED), "model"),
        (False, version(PROMPTED), "version"),
        (None, version(PROMPTED), "version"),
        (None, None, "model"),
    ],
)
def test_official_models_run_without_a_version(lab, api, is_official, latest, route):
    """Others by their latest version, which is kept."""
    answer = model(is_official=is_official, latest=latest)
    api.get(f"{API}/models/meta/llama").respond(json=answer)
    ref = connect(lab, "meta/llama")
    assert not ref.made_by_gpuhub
    assert (ref.name, ref.address, ref.data["route"]) == ("meta/llama", "meta/llama", route)
    assert ref.version == (VERSION if latest else "")


def test_a_version_of_a_model(lab, api):
    """By its id."""
    route = f"{API}/models/me/m/versions/{VERSION}"
    api.get(route).respond(json=version(PROMPTED))
    ref = connect(lab, f"me/m:{VERSION}")
    assert (ref.data["route"], ref.data["version"]) == ("version", VERSION)


@pytest.mark.parametrize("schema", [PROMPTED, None])
def test_a_deployment(lab, api, schema):
    """Of gpuhub's, or of somebody else."""
    api.get(f"{API}/deployments/acme/lab-echo").respond(json=deployment())
    route = f"{API}/models/acme/lab-echo/versions/{VERSION}"
    api.get(route).respond(json=version(schema))
    ref = connect(lab, "acme/lab-echo", "replicate-deployment")
    assert ref.made_by_gpuhub == (schema is None)
    assert ref.address == ("deployments/acme/lab-echo" if schema is None else "acme/lab-echo")
    post = api.post(f"{API}/deployments/acme/lab-echo/predictions")
    post.respond(201, json=prediction("starting"))
    lab.run(lab.adapter.submit(lab.io, ref, b'{"prompt":"x"}', CallOptions()))
    expected = {"payload": '{"prompt":"x"}'} if schema is None else {"prompt": "x"}
    assert json.loads(post.calls.last.request.content)["input"] == expected


@pytest.mark.parametrize("address", ["nothing", "a/b/c", "/b", "a/"])
def test_what_is_no_name_is_not_found(lab, api, address):
    """Without asking."""
    with pytest.raises(NotFound, match="owner/name"):
        connect(lab, address)
    assert not api.calls


def test_what_gpuhub_did_not_make_is_not_changed(lab, api):
    """Deleting, scaling, rolling back and the list of versions are for own deployments."""
    api.get(f"{API}/models/meta/llama").respond(json=model(is_official=True))
    ref = connect(lab, "meta/llama")
    adapter, io = lab.adapter, lab.io
    for attempt in (
        adapter.delete(io, ref),
        adapter.scale(io, ref, Scaling()),
        adapter.rollback(io, ref, "x"),
        adapter.versions(io, ref),
    ):
        with pytest.raises(UnsupportedSetting, match="not deployed by gpuhub"):
            lab.run(attempt)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "'prompt' is missing"),
        ({"prompt": 5}, "'prompt' must be string .got int 5"),
        ({"prompt": "x", "promt": "y"}, "no input 'promt'; did you mean 'prompt'"),
        ({"prompt": "x", "steps": "10"}, "'steps' must be integer"),
        ({"prompt": "x", "steps": True}, "'steps' must be integer .got bool True"),
        ({"prompt": "x", "steps": 0}, "'steps' must be from 1 to 50 .got 0"),
        ({"prompt": "x", "size": "huge"}, "'size' must be one of 'small', 'large'"),
        ({"prompt": "x", "scale": "big"}, "'scale' must be number"),
        ({"prompt": "x", "tags": ["a", 1]}, "'tags' has an item that must be string"),
        ({"prompt": "x", "flag": 1}, "'flag' must be boolean"),
        ({"prompt": {"name": "", "media_type": "", "data": "AA=="}}, "'prompt' is string, and no"),
    ],
)
def test_a_wrong_input_is_named(given, words):
    """With what the model takes."""
    with pytest.raises(SpecError, match=words) as caught:
        check_input("meta/llama", SCHEMA, given)
    assert "prompt*" in caught.value.next_step
    assert "meta/llama" in caught.value.message


@pytest.mark.parametrize(
    "given",
    [
        {"steps": 50, "size": "large", "scale": None, "image": None, "flag": False},
        {"steps": 3.0, "scale": 1, "tags": [], "image": "https://example.com/a.png"},
        {"image": {"name": "a.png", "media_type": "image/png", "data": "AA=="}},
    ],
)
def test_a_right_input_passes(given):
    """Whole numbers may be written as floats; files go where a URL goes."""
    check_input("meta/llama", SCHEMA, {"prompt": "x", **given})


def test_without_a_schema_nothing_is_checked():
    """It is Replicate's to refuse."""
    check_input("meta/llama", {}, {"anything": object()})


def test_nothing_is_sent_of_a_wrong_call(plant):
    """Through the public door, on the emulator."""
    endpoint = gpuhub.Endpoint.connect(
        "replicate://black-forest-labs/flux-schnell", workspace=plant.workspace
    )
    with pytest.raises(SpecError, match="num_outputs"):
        endpoint.invoke(prompt="x", num_outputs=9)


def test_files_travel_in_the_request_or_are_uploaded(plant, provider):
    """Up to 256 kB as data, larger ones by POST /files; the model gets both."""
    endpoint = gpuhub.Endpoint.connect("replicate://openai/whisper", workspace=plant.workspace)
    small = gpuhub.File(b"a word", "word.txt", "text/plain")
    large = gpuhub.File(b"many words " * 40_000, "words.txt", "text/plain")
    assert endpoint.invoke(audio=small)["transcription"] == "a word"
    assert endpoint.invoke(audio=large)["transcription"].startswith("many words many")
    sent = [each.json["input"]["audio"] for each in provider.requests if each.operation == "submit"]
    assert sent[0] == f"data:text/plain;base64,{base64.b64encode(b'a word').decode()}"
    assert sent[1].startswith("http")


def test_a_file_that_is_too_large_is_refused(lab, api):
    """Replicate takes 100 MB."""
    data = base64.b64encode(b"\0" * 100_000_001).decode()
    with pytest.raises(PayloadTooLarge, match="100,000,000"):
        lab.run(with_uploads(lab.io, {"name": "a", "media_type": "", "data": data}))
    with pytest.raises(SpecError, match="base64"):
        lab.run(with_uploads(lab.io, [{"name": "a", "media_type": "", "data": "?"}]))
    assert not api.calls


def test_outputs_are_saved_before_they_are_gone(make_lab, provider, tmp_path):
    """With a folder set, files are fetched when the call ends; the result has their paths."""
    lab = make_lab(output_folder="images", **provider.start())
    endpoint = gpuhub.Endpoint.connect(
        "replicate://black-forest-labs/flux-schnell", workspace=lab.workspace
    )
    paths = endpoint.invoke(prompt="a cat", num_outputs=2)
    provider.clock.advance(7200)
    contents = [Path(path).read_bytes() for path in paths]
    assert all(b"a cat" in content for content in contents)
    assert len(set(contents)) == 2
    assert {str(tmp_path / "images")} == {path.rpartition("/")[0] for path in paths}


def test_an_output_that_cannot_be_saved_stays_a_url(make_lab, api, caplog):
    """The call has succeeded nevertheless."""
    lab = make_lab(output_folder="images")
    url = "https://replicate.delivery/x/out.png"
    api.get(url).respond(404)
    answer = prediction("succeeded", [url, "text"], input={"prompt": "x"})
    api.get(f"{API}/predictions/p1").respond(json=answer)
    call = CallRef("replicate", "meta/llama", "p1")
    found = lab.run(lab.adapter.poll(lab.io, call, 0))
    assert json.loads(found.output) == [url, "text"]
    assert "was not saved" in caplog.text


def test_outputs_are_read_when_they_are_wanted(plant, tmp_path):
    """A URL in a result becomes a file that is fetched when it is read."""
    endpoint = gpuhub.Endpoint.connect("replicate://stability-ai/sdxl", workspace=plant.workspace)
    (url,) = endpoint.invoke(prompt="a dog")
    file = OutputFile(url)
    assert b"a dog" in file.read()
    assert b"a dog" in file.save(tmp_path).read_bytes()
    with pytest.raises(OSError, match="no address"):
        OutputFile("file:///etc/passwd").read()


def test_urls_of_files_are_found_in_results():
    """Replicate's only, however deep."""
    url = "https://replicate.delivery/pbxt/a/b.png"
    result = {"files": [url, "https://example.com/a.png"], "text": "x", "n": 1}
    found = output_files(result)
    assert found["files"] == [OutputFile(url), "https://example.com/a.png"]
    assert found["files"][0].name == "b.png"
    assert found["text"] == "x"


def test_models_stream_and_outlast_the_wait(plant):
    """Words as they come."""
    endpoint = gpuhub.Endpoint.connect(
        "replicate://meta/meta-llama-3-8b-instruct", workspace=plant.workspace
    )
    assert "".join(endpoint.stream(prompt="one two 3")) == "one two 3"
    assert list(endpoint.stream(prompt="one two 3", max_tokens=2)) == ["one", " two"]


def test_a_link_to_the_next_page_must_be_at_the_api(lab, api):
    """The token is sent nowhere else."""
    api.get(f"{API}/deployments/acme/lab-echo").respond(json=deployment())
    page = {"results": [], "next": "https://evil.example.com/next"}
    api.get(f"{API}/models/acme/lab-echo/versions").respond(json=page)
    evil = api.get("https://evil.example.com/next").mock(side_effect=httpx.ConnectError("x"))
    with pytest.raises(gpuhub.ProviderError, match="evil"):
        lab.run(lab.adapter.versions(lab.io, reference()))
    assert evil.call_count == 0
