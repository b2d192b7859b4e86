"""`gpuhub map`."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def numbers(deployed):
    """Five calls, one of which fails; a blank line is passed over."""
    lines = [json.dumps({"number": number}) for number in (1, 2, 101, 4)]
    file = deployed / "in.jsonl"
    file.write_text("\n".join(lines) + "\n\n" + json.dumps({"number": 5}) + "\n")
    return file


def test_results_in_order_with_their_errors(numbers, cli):
    """A JSON line for each, errors among them; the exit code tells."""
    answer = cli("map", "double", "--input", numbers)
    assert answer.code == 9
    assert [line["index"] for line in answer.lines] == [0, 1, 2, 3, 4]
    values = [line.get("result", {}).get("value") for line in answer.lines]
    assert values == [2, 4, None, 8, 10]
    assert answer.lines[2]["error"]["type"] == "RemoteError"
    assert answer.err.endswith("5 items, 1 failed\n")


def test_json_says_nothing_beside(numbers, cli):
    """Programs get lines only."""
    answer = cli("map", "double", "--input", numbers, "--json")
    assert len(answer.lines) == 5
    assert "items" not in answer.err


def test_output_file(numbers, cli):
    """Standard output stays empty."""
    answer = cli("map", "double", "--input", numbers, "--output", "out.jsonl")
    assert answer.out == ""
    lines = (numbers.parent / "out.jsonl").read_text().splitlines()
    assert json.loads(lines[4]) == {"index": 4, "result": {"value": 10, "label": "x"}}


def test_fail_fast(numbers, cli):
    """The first failure ends it, as an error of its own."""
    answer = cli("map", "double", "--input", numbers, "--fail-fast", "--concurrency", "1")
    assert answer.code == 9
    assert "101 is too odd" in answer.err
    assert len(answer.lines) == 2


def test_values_of_one_argument(deployed, cli):
    """Each line is the value, whatever it is."""
    answer = cli("map", "double", "--input", "-", "--argument", "number", text="1\n2\n")
    assert [line["result"]["value"] for line in answer.lines] == [2, 4]


def test_only_parameter_needs_no_name(warm, cli):
    """Where the code is known and takes one argument."""
    cli("deploy", "warm.py", "--yes")
    answer = cli("map", "warm.py", "--input", "-", text='1\n{"number": 2}\n')
    assert [line["result"] for line in answer.lines] == [1, 2]


def test_journal_lets_a_rerun_go_on(numbers, cli):
    """Finished items do not run again; failed ones only when asked."""
    arguments = ["map", "double", "--input", numbers, "--journal", "run.db"]
    first = cli(*arguments)
    again = cli(*arguments)
    assert [line.get("result") for line in again.lines] == [
        line.get("result") for line in first.lines
    ]
    logs = cli("logs", "double", "--json").lines
    assert sum(line["message"] == "doubling 4" for line in logs) == 1
    cli(*arguments, "--retry-failed")
    logs = cli("logs", "double", "--json").lines
    assert sum(line["message"] == "doubling 101" for line in logs) == 2


@pytest.mark.parametrize(
    ("line", "message"), [("{", "line 1 is not JSON"), ("[1]", "line 1 is a list, no object")]
)
def test_bad_line_is_named(deployed, cli, line, message):
    """With file and number."""
    (deployed / "bad.jsonl").write_text(line + "\n")
    answer = cli("map", "double", "--input", "bad.jsonl", "--json")
    assert answer.code == 2
    assert message in answer.error["message"]


def test_missing_input_file(deployed, cli):
    """An error of usage, as JSON when asked."""
    answer = cli("map", "double", "--input", "none.jsonl", "--json")
    assert answer.code == 2
    assert "none.jsonl" in answer.error["message"]


def test_generator_is_refused(deployed, cli):
    """It has no single result."""
    answer = cli("map", "spell", "--input", "-", "--json", text="{}\n")
    assert answer.code == 2
    assert "generator" in answer.error["message"]
