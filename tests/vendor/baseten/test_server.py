"""Truss's own inference server behind the emulator's gateway, running what gpuhub pushed."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from gpuhub.errors import CallTimedOut, PayloadTooLarge, RemoteError
from gpuhub.scaling import Scaling
from gpuhub_baseten.emulator import EmulatorOptions
from tests.adapters.waiting import until
from tests.vendor.baseten.conftest import KEY

pytestmark = [pytest.mark.sdk, pytest.mark.slow, pytest.mark.timeout(180)]

MB = 1_000_000


@pytest.fixture
def options(python):
    """Real servers; ``python`` skips where there is no environment for them."""
    return EmulatorOptions(
        workers="truss", truss_python=str(python), build_s=0.05, deploy_s=0.05, cold_start_s=0.0
    )


@pytest.fixture
def post(emulator, ours):
    """Send a prediction without gpuhub's client."""
    with httpx.Client(timeout=120, trust_env=False) as client:

        def send(endpoint, **options):
            model = ours.pushed(endpoint).model_id
            headers = {"Authorization": f"Bearer {KEY}", **options.pop("headers", {})}
            place = f"{emulator.url}/model-{model}/production/predict"
            return client.post(place, headers=headers, **options)

        yield send


def test_a_body_of_99_mb_and_one_of_101_mb(ours, post):
    """The first arrives, through gpuhub too; the second is refused, here and at the edge."""
    endpoint = ours.deploy("size_of")
    assert endpoint.invoke("x" * (99 * MB)) == 99 * MB
    with pytest.raises(PayloadTooLarge):
        endpoint.invoke("x" * (101 * MB))
    refused = post(endpoint, content=b'{"text":"' + b"x" * (101 * MB) + b'"}')
    assert (refused.status_code, refused.json()["error_code"]) == (413, "payload_too_large")


def test_a_prediction_longer_than_the_clients_budget(ours, tmp_path):
    """The caller is told, its connection is closed, and the worker is free for the next call."""
    endpoint = ours.deploy("wait_for", scaling=Scaling(max_workers=1))
    gate, log = tmp_path / "gate", tmp_path / "log"
    with pytest.raises(CallTimedOut):
        endpoint.with_options(timeout=0.5).invoke(str(gate), str(log), 170.0)
    opened = tmp_path / "opened"
    opened.touch()
    assert endpoint.invoke(str(opened), str(tmp_path / "next")) == "opened"
    assert not log.exists() or "opened" not in log.read_text()


def test_a_run_longer_than_the_functions_own_limit(ours, tmp_path):
    """The worker of gpuhub ends the wait: Truss's server has no such limit."""
    endpoint = ours.deploy("wait_for", timeout=1)
    with pytest.raises(CallTimedOut):
        endpoint.invoke(str(tmp_path / "gate"), str(tmp_path / "log"), 170.0)


def test_an_error_with_its_traceback(ours, post):
    """Truss hides exceptions; gpuhub's worker tells them, with status 200."""
    endpoint = ours.deploy("fail")
    with pytest.raises(RemoteError, match="no luck") as caught:
        endpoint.invoke("no luck")
    assert "in _raise" in caught.value.remote_traceback
    answer = post(endpoint, json={"message": "no luck"})
    assert answer.status_code == 200
    assert answer.json()["gpuhub_error"]["message"] == "no luck"
    assert "x-baseten-error-source" not in answer.headers


def test_a_stream_is_chunked(ours, emulator, post):
    """Each envelope on a line of its own; gpuhub never asks for JSON alone."""
    endpoint = ours.deploy("count_to")
    assert list(endpoint.stream(5)) == [0, 1, 2, 3, 4]
    answer = post(endpoint, json={"number": 2})
    assert answer.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in answer.headers
    lines = [line for line in answer.text.splitlines() if line]
    assert len(lines) == 3
    sent = emulator.requests.of("submit")[0]
    assert sent.headers.get("accept") != "application/json"


def test_streams_that_are_left_do_not_block_the_server(ours):
    """With one slot: each of many abandoned streams gives it back."""
    endpoint = ours.deploy("count_to", scaling=Scaling(max_workers=1))
    for _ in range(6):
        items = endpoint.stream(20_000)
        assert next(iter(items)) == 0
        items.close()
    assert list(endpoint.with_options(timeout=120).stream(3)) == [0, 1, 2]


def test_concurrency_in_one_server(ours, tmp_path):
    """As many at once as the function says, on one replica."""
    endpoint = ours.deploy("wait_for", scaling=Scaling(max_workers=1, concurrency=4))
    gate, log = tmp_path / "gate", tmp_path / "log"
    with ThreadPoolExecutor(5) as threads:
        calls = [threads.submit(endpoint.invoke, str(gate), str(log), 170.0) for _ in range(5)]
        until(lambda: log.exists() and log.read_text().count("started") >= 4)
        time.sleep(0.1)
        assert log.read_text().count("started") == 4
        gate.touch()
        assert [call.result() for call in calls] == ["opened"] * 5


def test_what_the_function_prints_is_logged(ours):
    """Between the lines of the server."""
    endpoint = ours.deploy("shout")
    endpoint.invoke("a loud word")
    until(lambda: "a loud word" in [line.message for line in endpoint.logs()])
    messages = [line.message for line in endpoint.logs()]
    assert any("Completed model.load()" in message for message in messages)


def test_variables_and_secrets_arrive(ours, emulator):
    """As environment variables of the function."""
    emulator.secrets["TOKEN"] = "s3cret"
    endpoint = ours.deploy("variable", env={"A": 'x "y" {{z}}'}, secrets="TOKEN")
    assert endpoint.invoke("A") == 'x "y" {{z}}'
    assert endpoint.invoke("TOKEN") == "s3cret"


def test_a_class_is_set_up_by_load(ours):
    """Once for each server."""
    endpoint = ours.deploy("Counter")
    assert endpoint.invoke("a") == {"setups": 1, "calls": 1, "label": "a"}
    assert endpoint.invoke("b")["calls"] == 2


def test_the_servers_own_routes(ours, emulator, post):
    """Ready, alive, and no route that the model has not."""
    endpoint = ours.deploy("echo")
    model = ours.pushed(endpoint).model_id
    base = f"{emulator.url}/model-{model}/production/sync"
    headers = {"Authorization": f"Bearer {KEY}"}
    assert httpx.get(f"{base}/v1/models/model", headers=headers, timeout=60).json() == {}
    answer = httpx.post(f"{base}/v1/chat/completions", json={}, headers=headers, timeout=60)
    assert (answer.status_code, answer.headers["x-baseten-error-code"]) == (404, "700")
    assert post(endpoint, content=b"{no").status_code == 200
