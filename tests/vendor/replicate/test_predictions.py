"""Predictions of hosted models and of deployments: Replicate's own client beside gpuhub."""

from __future__ import annotations

import itertools
import json
import threading

import pytest

from gpuhub.adapter import Phase
from gpuhub.errors import CallTimedOut, GpuHubError, OutcomeUnknown
from gpuhub.testing.emulator import Fault
from gpuhub_replicate.emulator import EmulatorOptions
from tests.adapters.conftest import receiver  # noqa: F401 - a fixture
from tests.adapters.waiting import until
from tests.vendor.replicate.conftest import LINES, TEXT, TOKEN

pytestmark = [pytest.mark.sdk, pytest.mark.slow, pytest.mark.timeout(120)]

FLUX = "black-forest-labs/flux-schnell"
LLAMA = "meta/meta-llama-3-8b-instruct"
OWN_HEADERS = {"user-agent", "host", "accept", "accept-encoding", "content-length", "connection"}


def sent_by(emulator, action, operation="submit"):
    """Give the one request of an operation that an action sends."""
    mark = len(emulator.requests)
    action()
    (request,) = [each for each in list(emulator.requests)[mark:] if each.operation == operation]
    return request


def headers_of(request):
    """Give the headers that are not one client's own."""
    return {name: text for name, text in request.headers.items() if name not in OWN_HEADERS}


def test_it_is_the_client_that_is_meant(vendor):
    """The idle line of versions 1, which most users have."""
    (version,) = vendor.do(["version"])
    assert version.startswith("1.")


def test_both_run_an_official_model_the_same_way(emulator, vendor, ours):
    """Path, body and headers are equal, and both get the files."""
    given = {"prompt": "a cat", "num_outputs": 2}
    found = []
    theirs = sent_by(emulator, lambda: found.extend(vendor.do(["run", FLUX, given])))
    endpoint = ours.connect(f"replicate://{FLUX}")
    mine = sent_by(emulator, lambda: found.append(endpoint.invoke(**given)))
    assert (theirs.method, theirs.path, theirs.json) == (mine.method, mine.path, mine.json)
    assert headers_of(theirs)["prefer"] == "wait"
    assert headers_of(mine)["prefer"] in ("wait", "wait=60")
    for name in ("authorization", "content-type"):
        assert headers_of(theirs)[name] == headers_of(mine)[name]
    assert set(headers_of(theirs)) - {"prefer"} <= set(headers_of(mine))
    assert len(found[0]["output"]) == len(found[1]) == 2
    assert all(link.endswith(".png") for link in found[0]["output"])


def test_both_run_a_version_the_same_way(emulator, vendor, ours):
    """Of a community model; ours needs no second request for the schema of each call."""
    version = emulator.model("stability-ai/sdxl").latest.id
    reference = f"stability-ai/sdxl:{version}"
    given = {"prompt": "a dog"}
    theirs = sent_by(emulator, lambda: vendor.do(["run", reference, given]))
    endpoint = ours.connect(f"replicate://{reference}")
    endpoint.invoke(**given)
    mark = len(emulator.requests)
    mine = sent_by(emulator, lambda: endpoint.invoke(**given))
    assert theirs.path == mine.path == "/v1/predictions"
    assert theirs.json == mine.json == {"version": version, "input": given}
    assert len(emulator.requests) == mark + 1


def test_both_stream_the_same_words(emulator, vendor, ours):
    """Create, then server-sent events."""
    numbers = itertools.count(1)

    def followed(given):
        streams = next(numbers)  # ours does without one that is over before it is asked for
        until(lambda: len(emulator.requests.of("stream")) == streams, 60)
        yield from given["text"].split("-")

    emulator.play("acme/words", followed, LINES, on_thread=True)
    given = {"text": "one-two\n-three"}
    (events,) = vendor.do(["stream", "acme/words", given])
    items = list(ours.connect("replicate://acme/words").stream(**given))
    assert [data for kind, data in events if kind == "output"] == items
    assert items == ["one", "two\n", "three"]
    theirs, mine = emulator.requests.of("stream")
    assert theirs.headers["accept"] == mine.headers["accept"] == "text/event-stream"
    assert emulator.requests.of("submit")[0].json == {"input": given, "stream": True}
    assert emulator.requests.of("submit")[1].json == {"input": given}


def test_the_clients_asynchronous_half(vendor):
    """The same answers."""
    output, other = vendor.do(["async_run", LLAMA, {"prompt": "a b"}], ["run", LLAMA, {}])
    assert output == ["a", " b"]
    assert other["output"] == [""]


def test_a_job_longer_than_the_wait(emulator, vendor, ours):
    """Their run() takes ``processing`` for the end and gives None; ours gives the result."""
    gate = threading.Event()

    def held(given):
        gate.wait(60)
        return given["text"]

    emulator.play("acme/slow", held, TEXT, on_thread=True)
    (found,) = vendor.do(["run**", "acme/slow", {"text": "late"}, {"wait": 1}])
    assert found["output"] is None
    call = ours.connect("replicate://acme/slow").spawn(text="late")
    assert call.state().phase is not Phase.SUCCEEDED
    gate.set()
    assert call.result(timeout=30) == "late"


@pytest.mark.parametrize("options", [EmulatorOptions(longest_wait_s=1, tokens=frozenset({TOKEN}))])
def test_our_own_wait_that_ends_first(emulator, ours):
    """The longest wait cut to a second: 202 comes, and then the result by asking."""

    def polled(given):
        until(lambda: emulator.requests.of("poll"), 60)
        return given["text"]

    emulator.play("acme/slow", polled, TEXT, on_thread=True)
    mark = len(emulator.requests)
    assert ours.connect("replicate://acme/slow").invoke(text="late") == "late"
    operations = [each.operation for each in list(emulator.requests)[mark:]]
    assert operations.count("submit") == 1
    assert "poll" in operations


def test_a_prediction_that_was_aborted(emulator, vendor, ours):
    """Their model of a prediction does not know the state; ours is told as a time-out."""
    endpoint = ours.deploy("echo")
    emulator.fail(Fault("cold_start", delay_s=60), on="start")
    call = endpoint.spawn("never")
    prediction = emulator.prediction(call.ref.id)
    with emulator._site.change():  # as a Cancel-After would do, when it is over
        prediction.deadline_at = emulator._site.stamp()
        emulator._account.desk_of(prediction).cut_off(prediction)
    assert prediction.status == "aborted"
    (found,) = vendor.do(["get_failing", prediction.id])
    assert found["type"] == "ValidationError"
    assert call.state().phase is Phase.TIMED_OUT
    with pytest.raises(CallTimedOut):
        call.result(timeout=30)


def test_failures_are_told_by_both(emulator, vendor, ours):
    """The words of the model; ours as an error of the call, not of HTTP."""

    def broken(given):
        raise ValueError(given["text"])

    emulator.play("acme/broken", broken, TEXT)
    (theirs,) = vendor.do(["run_failing", "acme/broken", {"text": "no luck"}])
    assert "no luck" in theirs["error"]
    with pytest.raises(GpuHubError, match="no luck"):
        ours.connect("replicate://acme/broken").invoke(text="no luck")


def test_a_wrong_input_is_named(emulator, vendor, ours):
    """They send it and print 422; ours is refused here, naming the input."""
    (theirs,) = vendor.do(["refused**", {"model": FLUX, "input": {"prompt": 5}}])
    assert theirs["status"] == 422
    assert "prompt" in theirs["detail"]
    endpoint = ours.connect(f"replicate://{FLUX}")
    mark = len(emulator.requests)
    with pytest.raises(GpuHubError, match="prompt"):
        endpoint.invoke(prompt=5)
    assert len(emulator.requests.of("submit")) == 1
    assert len(emulator.requests) == mark


def test_a_lost_answer_makes_no_second_prediction(emulator, vendor, ours):
    """Neither side sends it again; ours says that the outcome is unknown."""
    emulator.fail("lost_response")
    endpoint = ours.connect(f"replicate://{FLUX}")
    with pytest.raises(OutcomeUnknown):
        endpoint.invoke(prompt="once")
    (listed,) = vendor.do(["list"])
    assert len(listed["ids"]) == 1
    assert len(emulator.requests.of("submit")) == 1


def test_both_follow_one_prediction(emulator, vendor, ours):
    """Made by one side, read and cancelled by the other."""
    gate = threading.Event()

    def held(given):
        gate.wait(60)
        return given["text"]

    emulator.play("acme/held", held, TEXT, on_thread=True)
    call = ours.connect("replicate://acme/held").spawn(text="x")
    (seen,) = vendor.do(["get", call.ref.id])
    assert seen["status"] == "processing"
    (cancelled,) = vendor.do(["cancel", call.ref.id])
    assert cancelled["status"] == "canceled"
    assert call.state().phase.value == "cancelled"
    gate.set()
    made, waited = vendor.do(
        ["create**", {"model": FLUX, "input": {"prompt": "x"}}], ["run", FLUX, {"prompt": "y"}]
    )
    known = type(call).from_id(f"replicate://{FLUX}/{made['id']}", workspace=ours.workspace)
    assert known.state().phase.value == "succeeded"
    assert waited["output"]


def test_webhooks_of_both_are_valid(emulator, vendor, ours, receiver):  # noqa: F811 - that fixture
    """By their own check of the signature, with the secret that they fetch."""
    vendor.do(["create**", {"model": FLUX, "input": {"prompt": "x"}, "webhook": receiver.url}])
    ours.connect(f"replicate://{FLUX}").with_options(webhook=receiver.url).invoke(prompt="y")
    until(lambda: [json.loads(body)["status"] for _, body in receiver.got].count("succeeded") == 2)
    got = list(receiver.got)
    (key,) = vendor.do(["secret"])
    checked = vendor.do(*[["validate", dict(headers), body.decode(), key] for headers, body in got])
    assert checked == [True] * len(got)


def test_files_of_both(emulator, vendor, ours, tmp_path):
    """Uploaded by one side, used by the other."""
    words = tmp_path / "words.txt"
    words.write_text("spoken words")
    (file, listed, account) = vendor.do(["upload", str(words)], ["list_files"], ["account"])
    assert [file["id"]] == listed
    assert account["username"] == emulator.username
    endpoint = ours.connect("replicate://openai/whisper")
    assert endpoint.invoke(audio=file["urls"]["get"])["transcription"] == "spoken words"
    (deleted,) = vendor.do(["delete_file", file["id"]])
    assert deleted is True


def test_an_unknown_token(emulator, vendor, ours):
    """401 in both."""
    emulator.fail("unauthorized", times=2)
    (theirs,) = vendor.do(["refused**", {"model": FLUX, "input": {"prompt": "x"}}])
    assert theirs["status"] == 401
    with pytest.raises(GpuHubError, match="token"):
        ours.connect(f"replicate://{FLUX}").invoke(prompt="x")
