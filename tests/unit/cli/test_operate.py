"""`status scale logs versions rollback warm delete`."""

from __future__ import annotations

import pytest


@pytest.fixture
def twice(deployed, cli, forget):
    """The project with a second version of `double` and `spell`."""
    forget()
    file = deployed / "app.py"
    file.write_text(file.read_text().replace("2 * number", "3 * number"))
    assert cli("deploy", "app.py").code == 0
    return deployed


def test_status_of_one(deployed, cli):
    """One object, all of what the provider tells."""
    found = cli("status", "double", "--json").json
    assert (found["deployment"], found["provider"]) == ("shop-double", "mock")
    assert (found["rollout"], found["version"]) == ("ready", "1")
    assert found["address"] == "mock://shop-double"
    assert found["workers"].keys() == {"starting", "idle", "running", "throttled", "unhealthy"}
    text = cli("status", "double").out
    assert "shop-double" in text
    assert "ready" in text


def test_status_of_all(deployed, cli):
    """Every deployment of the journal."""
    found = cli("status", "--json").json["deployments"]
    assert [each["deployment"] for each in found] == ["shop-double", "shop-spell"]
    text = cli("status").out
    assert "shop-double" in text
    assert "shop-spell" in text


def test_status_of_a_file(deployed, cli):
    """All functions of it."""
    found = cli("status", "app.py", "--json").json["deployments"]
    assert [each["deployment"] for each in found] == ["shop-double", "shop-spell"]


def test_status_of_nothing(project, cli):
    """An empty project says what to do."""
    answer = cli("status")
    assert answer.code == 0
    assert "gpuhub deploy" in answer.out


def test_status_lists_what_cannot_be_asked(deployed, cli, monkeypatch):
    """One provider in trouble does not hide the others."""
    from gpuhub.errors import ProviderUnavailable

    async def unavailable(self, io, ref):
        raise ProviderUnavailable("the provider sleeps", provider="mock")

    monkeypatch.setattr("gpuhub._engine.Deployments.status", unavailable)
    answer = cli("status", "--json")
    assert answer.code == 0
    messages = [each["error"]["message"] for each in answer.json["deployments"]]
    assert messages == ["the provider sleeps"] * 2
    assert "the provider sleeps" in cli("status").out


def test_scale(deployed, cli):
    """The new limits, and what puts the old ones back."""
    answer = cli("scale", "double", "--max-workers", "7", "--idle-timeout", "5", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["scaling"]["max_workers"] == 7
    assert "next deploy" in answer.json["until"]
    assert cli("status", "double", "--json").json["scaling"]["idle_timeout"] == 5
    assert "max_workers 3" in cli("scale", "double", "--max-workers", "3").out


def test_scale_asks_about_cost(deployed, cli):
    """The price is that of the deployed plan."""
    refused = cli("scale", "double", "--min-workers", "2", "--json")
    assert refused.code == 12
    assert "would keep 2 workers warm" in refused.error["message"]
    assert "an idle hour costs $" in refused.error["message"]
    assert cli("status", "double", "--json").json["scaling"]["min_workers"] == 0
    done = cli("scale", "double", "--min-workers", "2", "--yes", "--json")
    assert done.json["scaling"]["mode"] == "active"
    assert cli("scale", "double", "--min-workers", "0", "--json").code == 0


def test_scale_needs_a_change(deployed, cli):
    """Says which options there are."""
    answer = cli("scale", "double", "--json")
    assert answer.code == 2
    assert "--max-workers" in answer.error["next_step"]


def test_scale_with_limits_that_disagree(deployed, cli):
    """The model's own rule."""
    answer = cli("scale", "double", "--min-workers", "9", "--yes", "--json")
    assert answer.code == 2
    assert "max_workers" in answer.error["message"]


def test_logs(deployed, cli, monkeypatch):
    """A line of the function's own; JSON has one object a line."""
    monkeypatch.setenv("GPUHUB_MOCK_CLOCK", "system")
    monkeypatch.setenv("GPUHUB_MOCK_COLD_START_S", "0.01")
    cli("invoke", "double", "number=1")
    lines = cli("logs", "double", "--json").lines
    assert {"time", "message", "worker", "source"} == lines[0].keys()
    assert "doubling 1" in [line["message"] for line in lines]
    assert "doubling 1" in cli("logs", "double", "--since", "2h").out
    assert "doubling 1" not in cli("logs", "double", "--since", "0").out


def test_logs_with_a_bad_time(deployed, cli):
    """Says how to write one."""
    answer = cli("logs", "double", "--since", "yesterday", "--json")
    assert answer.code == 2
    assert "90s, 10m or 2h" in answer.error["next_step"]


def test_versions_and_rollback(twice, cli):
    """Newest first; back to the one before, or to a named one."""
    found = cli("versions", "double", "--json").json["versions"]
    assert [(each["id"], each["current"]) for each in found] == [("2", True), ("1", False)]
    assert cli("invoke", "double", "number=2", "--json").json["result"]["value"] == 6
    assert cli("rollback", "double", "--json").json["version"] == "1"
    assert cli("invoke", "double", "number=2", "--json").json["result"]["value"] == 4
    assert cli("rollback", "double", "2").out == "shop-double serves version 2\n"
    assert "yes" in cli("versions", "double").out


def test_rollback_to_an_unknown_version(twice, cli):
    """Names those there are."""
    answer = cli("rollback", "double", "9", "--json")
    assert answer.code == 5
    assert "2, 1" in answer.error["message"]


def test_warm(deployed, cli):
    """A worker starts; the price is said."""
    answer = cli("warm", "double", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["worker_usd_per_hour"] > 0
    assert any("starting" in line["message"] for line in cli("logs", "double", "--json").lines)
    assert "an idle hour costs $" in cli("warm", "double").out


def test_delete(deployed, cli):
    """Confirmed, gone, and not there the second time."""
    assert cli("delete", "double").code == 12
    assert cli("delete", "double", "--yes", "--json").json == {"deleted": ["shop-double"]}
    assert cli("delete", "double", "--yes").code == 8
    remaining = cli("status", "--json").json["deployments"]
    assert [each["deployment"] for each in remaining] == ["shop-spell"]


def test_delete_is_asked_about(deployed, cli, monkeypatch):
    """No is no."""
    monkeypatch.setattr("gpuhub.cli.run._somebody_is_there", lambda: True)
    assert cli("delete", "double", text="n\n").code == 12
    assert cli("delete", "double", text="y\n").code == 0


def test_delete_all_of_a_file(deployed, cli):
    """The opposite of deploying it."""
    answer = cli("delete", "app.py", "--yes", "--json")
    assert answer.json == {"deleted": ["shop-double", "shop-spell"]}


@pytest.mark.parametrize("arguments", [[], ["double", "--orphans"]])
def test_delete_takes_one_or_the_other(project, cli, arguments):
    """A name or --orphans."""
    assert cli("delete", *arguments, "--json").code == 2


def test_not_deployed_names_where_it_is(deployed, cli, acme, monkeypatch):
    """The wrong provider is the likeliest mistake."""
    monkeypatch.setenv("ACME_API_KEY", "key")
    monkeypatch.setenv("GPUHUB_ACME_PERSIST", "false")
    answer = cli("status", "double", "--provider", "acme", "--json")
    assert answer.code == 8
    assert "--provider mock" in answer.error["next_step"]
