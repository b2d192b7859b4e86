"""`gpuhub invoke` and `gpuhub call`."""

from __future__ import annotations

import json

import pytest


def test_result_is_json(deployed, cli):
    """For people indented, and nothing else on standard output."""
    answer = cli("invoke", "double", "number=4")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out) == {"value": 8, "label": "x"}


def test_json_names_the_deployment(deployed, cli):
    """One document with the result."""
    assert cli("invoke", "double", "number=4", "--json").json == {
        "deployment": "shop-double",
        "provider": "mock",
        "result": {"value": 8, "label": "x"},
    }


@pytest.mark.parametrize(
    "name", ["double", "shop-double", "app.py::double", "app:double", "mock://shop-double"]
)
def test_name_forms(deployed, cli, name):
    """By function, deployment, code and address."""
    answer = cli("invoke", name, "number=1", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["result"]["value"] == 2


def test_file_with_one_function_needs_no_name(warm, cli):
    """There is only one it can be."""
    cli("deploy", "warm.py", "--yes")
    assert cli("invoke", "warm.py", "number=3", "--json").json["result"] == 3


def test_arguments_from_data_file_and_standard_input(deployed, cli):
    """A JSON object from each of them; pairs win over it."""
    (deployed / "payload.json").write_text('{"number": 5, "label": "file"}')
    data = ["--data", '{"number": 5, "label": "data"}']
    assert cli("invoke", "double", *data, "--json").json["result"]["label"] == "data"
    answer = cli("invoke", "double", "--file", "payload.json", "number=6", "--json")
    assert answer.json["result"] == {"value": 12, "label": "file"}
    answer = cli("invoke", "double", "-", "--json", text='{"number": 7}')
    assert answer.json["result"]["value"] == 14


def test_text_stays_text(deployed, cli):
    """What is no JSON is text; so is everything, for a parameter that the code says is text."""
    answer = cli("invoke", "double", "number=1", "label=a b", "--json")
    assert answer.json["result"]["label"] == "a b"
    answer = cli("invoke", "app.py::double", "number=1", "label=12", "--json")
    assert answer.json["result"]["label"] == "12"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["number"], "'number' is no argument"),
        (["--data", "[1]"], "--data must be a JSON object, not list"),
        (["--data", "{"], "--data is not JSON"),
        (["--data", "{}", "-"], "arguments come from --data and -"),
        (["--stream", "--spawn"], "exclude each other"),
        (["number=1", "--stream"], "no generator"),
    ],
)
def test_bad_arguments(deployed, cli, arguments, message):
    """Refused before anything is sent."""
    answer = cli("invoke", "double", *arguments, "--json")
    assert answer.code == 2
    assert message in answer.error["message"]


def test_code_checks_arguments_here(deployed, cli):
    """With the code at hand a missing argument needs no round trip."""
    answer = cli("invoke", "app.py::double", "label=a", "--json")
    assert answer.code == 2
    assert "number" in answer.error["message"]
    assert "call_id" not in answer.error


def test_remote_error_has_the_remote_traceback(deployed, cli):
    """The user's own line, and exit code 9."""
    answer = cli("invoke", "double", "number=101")
    assert answer.code == 9
    assert "ValueError: 101 is too odd" in answer.err
    assert 'raise ValueError(f"{number} is too odd")' in answer.err
    assert "this is a bug" not in answer.err
    error = cli("invoke", "double", "number=101", "--json").error
    assert error["type"] == "RemoteError"
    assert error["call_id"].startswith("mock://shop-double/")


def test_generator_is_streamed(deployed, cli):
    """One line an item; without --stream the next step says so."""
    assert cli("invoke", "spell", "word=ab", "--stream").out == '"a"\n"b"\n'
    assert cli("invoke", "spell", "word=ab", "--stream", "--json").lines == ["a", "b"]
    answer = cli("invoke", "spell", "word=ab", "--json")
    assert (answer.code, answer.error["next_step"]) == (2, "add --stream")


def test_spawned_call_is_followed_by_id(deployed, cli):
    """State, result and cancel in runs of their own."""
    answer = cli("invoke", "double", "number=21", "--spawn", "--json")
    call = answer.json["call"]
    assert call.startswith("mock://shop-double/")
    result = cli("call", "result", call, "--json").json
    assert result == {"call": call, "result": {"value": 42, "label": "x"}}
    assert cli("call", "state", call, "--json").json["phase"] == "succeeded"
    assert cli("call", "cancel", call, "--json").json["cancel"] == "confirmed_terminal"


def test_spawn_prints_the_id_alone(deployed, cli):
    """So that a script can keep it: the hint is not on standard output."""
    answer = cli("invoke", "double", "number=21", "--spawn")
    call = answer.out.strip()
    assert answer.out == f"{call}\n"
    assert json.loads(cli("call", "result", call).out)["value"] == 42
    assert "succeeded" in cli("call", "state", call).out
    assert call in answer.err


def test_malformed_call_id(project, cli):
    """Says what an id looks like."""
    answer = cli("call", "state", "nonsense", "--json")
    assert answer.code == 2
    assert "provider://deployment/call-id" in answer.error["message"]


def test_web_application_is_not_invoked(project, cli):
    """It has no arguments to pass."""
    (project / "pages.py").write_text("import gpuhub\n@gpuhub.web\ndef site(): ...\n")
    assert cli("deploy", "pages.py").code == 0
    answer = cli("invoke", "site", "--json")
    assert answer.code == 2
    assert "web application" in answer.error["message"]
