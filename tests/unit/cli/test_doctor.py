"""`gpuhub doctor`, `gpuhub providers` and `gpuhub gpus`."""

from __future__ import annotations

import platform

from gpuhub.adapter import Feature
from gpuhub.gpus import catalogue
from gpuhub.registry import available
from gpuhub_mock import MockAdapter


def test_doctor_says_where_values_come_from(project, cli, monkeypatch):
    """File, environment, argument, default."""
    monkeypatch.setenv("GPUHUB_ON_UNSUPPORTED", "warn")
    document = cli("doctor", "--provider", "mock", "--json").json
    origins = {each["key"]: each["origin"] for each in document["settings"]}
    assert origins["app"] == "gpuhub.toml"
    assert origins["on_unsupported"] == "environment GPUHUB_ON_UNSUPPORTED"
    assert origins["provider"] == "argument"
    assert origins["payload_store"] == "default"
    assert document["python"] == platform.python_version()
    assert document["project_file"] == str(project / "gpuhub.toml")
    assert document["problems"] == []


def test_doctor_lists_extras_and_adapters(project, cli):
    """What is installed."""
    document = cli("doctor", "--json").json
    assert {"fast", "store", "emulator"} <= document["extras"].keys()
    assert [each["name"] for each in document["adapters"] if each["selected"]] == ["mock"]
    text = cli("doctor").out
    assert "no problems found" in text


def test_doctor_never_shows_a_credential(project, cli, acme, monkeypatch):
    """Only whether it is set."""
    monkeypatch.setenv("ACME_API_KEY", "sesame-open-up")
    for arguments in (["--json"], []):
        answer = cli("doctor", "--provider", "acme", *arguments)
        assert answer.code == 0, answer.err
        assert "sesame-open-up" not in answer.out + answer.err
        assert "ACME_API_KEY" in answer.out


def test_doctor_reports_a_missing_credential(project, cli, acme):
    """Of the selected provider."""
    document = cli("doctor", "--provider", "acme", "--json").json
    assert document["problems"] == ["acme: not set: ACME_API_KEY"]
    assert "problem: acme: not set: ACME_API_KEY" in cli("doctor", "--provider", "acme").out


def test_doctor_lists_open_calls(deployed, cli):
    """A spawned call that nobody fetched."""
    call = cli("invoke", "double", "number=1", "--spawn", "--json").json["call"]
    assert [each["call"] for each in cli("doctor", "--json").json["open_calls"]] == [call]
    assert call in cli("doctor").out
    cli("call", "result", call)
    assert cli("doctor", "--json").json["open_calls"] == []


def test_doctor_finishes_deletes(project, cli, monkeypatch):
    """Of a provider that keeps what was switched off for a while."""

    async def finish_deletes(self, io):
        return ["acme/old"]

    assert cli("doctor", "--json").json["finished_deletes"] == []
    monkeypatch.setattr(MockAdapter, "finish_deletes", finish_deletes, raising=False)
    assert cli("doctor", "--json").json["finished_deletes"] == ["acme/old"]
    assert "removed acme/old, deleted before" in cli("doctor").out


def test_doctor_without_a_project(tmp_path, cli, monkeypatch):
    """Points at init."""
    monkeypatch.chdir(tmp_path)
    assert "gpuhub init" in cli("doctor", "--json").json["problems"][0]


def test_doctor_survives_a_broken_adapter(project, cli, acme):
    """A stranger's adapter that does not import is a row."""
    (acme / "gpuhub_acme.py").write_text("import nowhere_to_be_found\n")
    adapters = {each["name"]: each for each in cli("doctor", "--json").json["adapters"]}
    assert adapters["mock"]["usable"]
    assert "nowhere_to_be_found" in adapters["acme"]["problem"]
    assert "nowhere_to_be_found" in cli("providers").out


def test_providers(project, cli, acme):
    """Each with its credentials and limits."""
    found = {each["name"]: each for each in cli("providers", "--json").json["providers"]}
    assert found["mock"]["usable"]
    assert found["acme"]["credentials"] == [
        {"variable": "ACME_API_KEY", "required": True, "set": False}
    ]
    assert found["mock"]["limits"]["payload_bytes"] == 10_000_000
    text = cli("providers").out
    assert "mock (selected)" in text
    assert "not set: ACME_API_KEY" in text


def test_capability_matrix_has_every_feature(project, cli, acme):
    """Side by side, from the same data."""
    matrix = cli("providers", "--capabilities", "--json").json["capabilities"]
    assert matrix.keys() == set(available())
    assert {"mock", "acme"} <= matrix.keys()
    assert all(features.keys() == set(Feature) for features in matrix.values())
    text = cli("providers", "--capabilities").out
    assert all(feature.value in text for feature in Feature)


def test_capabilities_of_one_provider(project, cli):
    """With how, or why not."""
    features = cli("providers", "mock", "--json").json["capabilities"]
    reasons = [each["how"] for each in features.values() if each["level"] == "emulated"]
    text = " ".join(cli("providers", "mock").out.split())
    assert all(reason.split()[0] in text for reason in reasons)


def test_unknown_provider(project, cli):
    """Named with its neighbours."""
    answer = cli("providers", "mok", "--json")
    assert answer.code == 2
    assert "did you mean 'mock'?" in answer.error["next_step"]


def test_gpus(project, cli):
    """The whole catalogue."""
    found = cli("gpus", "--json").json["gpus"]
    assert [each["name"] for each in found] == [card.name for card in catalogue()]
    assert found[0].keys() >= {"memory_gb", "aliases", "architecture", "family"}
    text = cli("gpus").out
    assert all(card.name in text for card in catalogue())


def test_gpus_of_a_provider(project, cli):
    """Its own name and price for each that it has; asking sends nothing."""
    found = {
        each["name"]: each for each in cli("gpus", "--provider", "mock", "--json").json["gpus"]
    }
    assert found["L4"]["usd_per_hour"] > 0
    assert found["L4"]["native"]
    assert "L4" in cli("gpus", "--provider", "mock").out
    assert not (project / ".gpuhub" / "mock").exists()
