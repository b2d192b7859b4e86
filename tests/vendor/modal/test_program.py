"""A program of Modal's, as its documentation has it: all kinds of functions, all ways to call.

If Modal's client is satisfied, the emulator is not fiction. Containers run Modal's own runtime.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.adapters.modal.emulator.conftest import TOKEN


class Program:
    """An app with a function of each kind, deployed."""

    def __init__(self, lab):
        from tests.vendor.modal.program import counter, functions

        self.lab = lab
        app = lab.modal.App("program")
        for name, function in functions().items():
            app.function(serialized=True, name=name)(function)
        app.cls(serialized=True, scaledown_window=60)(counter())
        app.deploy(client=lab.client)

    def __getattr__(self, name):
        handle = self.lab.modal.Function.from_name("program", name, client=self.lab.client)
        handle.hydrate()
        return handle


@pytest.fixture
def program(lab):
    """It."""
    return Program(lab)


def test_plain_calls(program):
    """Positional and named arguments, results, async functions."""
    assert program.double.remote(21) == 42
    assert program.double.remote(21, plus=1) == 43
    assert program.later.remote("hi") == "HI"


def test_spawned_calls(program):
    """By their id, from anywhere, together."""
    modal, client = program.lab.modal, program.lab.client
    call = program.double.spawn(2)
    assert call.object_id.startswith("fc-")
    assert modal.FunctionCall.from_id(call.object_id, client=client).get() == 4
    calls = [program.double.spawn(number) for number in range(5)]
    assert modal.FunctionCall.gather(*calls) == [0, 2, 4, 6, 8]
    assert call.num_inputs() == 1


def test_maps(program):
    """In order, in any order, with several arguments, with errors as results."""
    assert list(program.double.map(range(50))) == [2 * number for number in range(50)]
    unordered = program.double.map(range(20), order_outputs=False)
    assert sorted(unordered) == list(range(0, 40, 2))
    assert list(program.double.starmap([(1,), (2,)], kwargs={"plus": 5})) == [7, 9]
    errors = list(program.fail.map(["a"], return_exceptions=True))
    assert str(errors[0]) == "a"
    call = program.double.experimental_spawn_map([1, 2, 3])
    assert sorted(call.iter()) == [2, 4, 6]


def test_generators(program):
    """Items come while the generator runs."""
    assert list(program.count.remote_gen(5)) == list(range(5))
    assert list(program.count_later.remote_gen(5)) == list(range(5))


def test_errors(program):
    """The user's own class, though it is defined in a function, with the remote traceback."""
    with pytest.raises(Exception, match="on purpose") as caught:
        program.fail.remote("on purpose")
    assert type(caught.value).__name__ == "UnhappyError"


def test_classes(program):
    """``enter`` runs once for each container, parameters make containers of their own."""
    counters = program.lab.modal.Cls.from_name("program", "Counter", client=program.lab.client)
    first = counters()
    assert [first.add.remote(number) for number in (1, 2, 3)] == [1, 3, 6]
    assert counters(start=10).add.remote(1) == 11
    assert list(counters(start=5).numbers.remote_gen(3)) == [5, 6, 7]


def test_a_class_is_no_function(program):
    """Modal's client names the difference."""
    modal = program.lab.modal
    with pytest.raises(modal.exception.NotFoundError, match=r"modal\.Cls"):
        modal.Function.from_name("program", "Counter", client=program.lab.client).hydrate()


def test_other_options_for_a_call(program):
    """A variant scales by itself."""
    variant = program.double.with_options(gpu="H100", max_containers=1)
    assert variant.remote(4) == 8
    running = program.lab.emulator.workspace.functions[variant.object_id].containers
    assert [each.gpu for each in running.values()] == ["H100"]


def test_a_function_that_calls_another(program):
    """From inside its container, as its own client."""
    assert program.outer.remote(3) == 7


def test_async_forms(program):
    """Modal's ``.aio``."""
    double, count = program.double, program.count

    async def calls():
        results = await asyncio.gather(*(double.remote.aio(each) for each in range(10)))
        items = [item async for item in count.remote_gen.aio(3)]
        return results, items

    assert asyncio.run(calls()) == ([2 * each for each in range(10)], [0, 1, 2])


def test_many_threads(program):
    """Share a handle."""
    handle = program.double
    with ThreadPoolExecutor(16) as threads:
        results = list(threads.map(handle.remote, range(64)))
    assert results == [2 * number for number in range(64)]


def test_what_an_app_is(program):
    """Listed, described, stopped."""
    modal, client = program.lab.modal, program.lab.client
    found = modal.App.lookup("program", client=client)
    info = found.info()
    assert info.lifecycle.version == 1
    assert "double" in info.functions
    environment = modal.Environment.from_name("main", client=client)
    assert [each.description for each in environment.apps.list()] == ["program"]
    found.stop()
    with pytest.raises(modal.exception.NotFoundError):
        modal.App.lookup("program", client=client)


def test_limits_and_numbers(program):
    """``autoscaler`` and ``get_current_stats``."""
    handle = program.double
    handle.remote(1)
    stats = handle.get_current_stats()
    assert (stats.backlog, stats.num_total_runners) == (0, 1)
    changed = handle.autoscaler.update(min_containers=1, max_containers=4, buffer_containers=1)
    assert (changed.min_containers, changed.max_containers) == (1, 4)
    assert handle.autoscaler.settings().buffer_containers == 1


def test_what_a_function_is(lab):
    """``info`` shows what was deployed."""
    lab.deploy(lambda: None, gpu=["H100:2", "A100"], timeout=77, memory=2048, region="eu")
    info = lab.handle().info()
    assert info.gpus == [("H100", 2), ("A100", 1)]
    assert (info.timeout, info.memory_mib, info.regions) == (77, 2048, ["eu"])


def test_an_app_that_runs_with_its_client(lab):
    """``app.run`` takes its functions away at the end."""
    app = lab.modal.App("for a moment")

    def double(number):
        return 2 * number

    handle = app.function(serialized=True, name="double")(double)
    with app.run(client=lab.client):
        assert handle.remote(4) == 8
    assert lab.emulator.orphans() == []
    before = lab.emulator.billed_seconds.total
    lab.advance(3600)
    assert lab.emulator.billed_seconds.total == before


def test_web_functions(lab):
    """ASGI applications."""

    def site():
        async def app(scope, receive, send):
            if scope["type"] == "http":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": scope["path"].encode()})

        return app

    handle = lab.deploy(lab.modal.asgi_app()(site))
    assert httpx.get(f"{handle.get_web_url()}/hello", timeout=20).text == "/hello"


def test_two_clients_in_one_process(lab):
    """Each with its token; what one deploys the other calls."""
    other = lab.client_of(*TOKEN)
    lab.deploy(lambda number: number + 1)
    handle = lab.modal.Function.from_name("lab", "it", client=other)
    assert handle.remote(1) == 2
    wrong = lab.client_of("ak-wrong", "as-wrong")
    with pytest.raises(lab.modal.exception.AuthError):
        lab.modal.Function.from_name("lab", "it", client=wrong).remote(1)
    lab.close_client(other)
    assert lab.handle().remote(2) == 3
    lab.close_client(wrong)


def test_arguments_in_cbor(lab, monkeypatch):
    """The other form that Modal's client knows."""
    monkeypatch.setenv("MODAL_PAYLOAD_FORMAT", "cbor")
    handle = lab.deploy(lambda value: {"got": value})
    assert handle.remote([1, "a", None]) == {"got": [1, "a", None]}


def test_snapshots_are_taken_as_a_setting(lab):
    """They are not played: a container starts as any other."""
    handle = lab.deploy(lambda: 1, enable_memory_snapshot=True)
    assert handle.remote() == 1


def test_code_of_a_package(lab, tmp_path, monkeypatch):
    """Is mounted whole, and imported in the container."""
    package = tmp_path / "vendor_shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "words.py").write_text("WORD = 'from the package'\n")
    (package / "main.py").write_text(
        "from vendor_shop.words import WORD\ndef it():\n    return WORD, __file__\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    from vendor_shop.main import it

    word, path = lab.deploy(it, serialized=False).remote()
    assert word == "from the package"
    assert Path(path).parts[-3:] == ("root", "vendor_shop", "main.py")
