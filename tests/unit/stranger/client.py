"""What a user of the stranger's adapter does; run by the test with the package installed."""

import os

import pytest
from gpuhub_acme.emulator import contract_emulator  # type: ignore[import-not-found]

import gpuhub

emulator = contract_emulator()
os.environ["GPUHUB_ACME_API_URL"] = emulator.start()["api_url"]

import app  # type: ignore[import-not-found]  # noqa: E402 - after the environment is set

endpoint = app.greet.deploy()
sent = len(emulator.requests)
assert app.greet.deploy().version == "r1"
assert {request.method for request in list(emulator.requests)[sent:]} == {"GET"}

assert app.greet.remote("you") == "hello you"
call = app.greet.spawn(name="Ada")
assert call.id.startswith("acme://shop-greet/")
assert call.result(timeout=60) == "hello Ada"
assert list(app.greet.map("abc", concurrency=2)) == ["hello a", "hello b", "hello c"]
assert endpoint.status().workers.total in (1, 2)
emulator.clock.advance(61)
assert endpoint.status().workers.total == 0

with pytest.raises(gpuhub.UnsupportedSetting, match="Acme"):
    gpuhub.Endpoint.connect("acme://shop-greet")

emulator.fail("lost_response", on="submit")
with pytest.raises(gpuhub.OutcomeUnknown) as lost:
    app.greet.remote("once")
assert lost.value.provider == "acme"
submitted = [request for request in emulator.requests if request.operation == "submit"]
assert len(submitted) == 1 + 1 + 3 + 1

emulator.fail("rate_limit", on="submit")
assert app.greet.remote("later") == "hello later"

endpoint.delete()
assert emulator.orphans() == []
with pytest.raises(gpuhub.NotDeployed, match="deploy it"):
    app.greet.remote("nobody")

text = repr(emulator.requests.__dict__) + repr(app.greet.workspace) + repr(endpoint)
assert os.environ["ACME_API_KEY"] not in text
app.greet.workspace.close()
emulator.stop()
print("ok")
