"""Pushing, environments, promotion, limits and what else the management API does."""

from __future__ import annotations

import gzip

import httpx
import pytest

from gpuhub_baseten.emulator import EmulatorOptions
from tests.adapters.baseten.emulator.conftest import ECHO, archive, signed

NOTING = """
class Model:
    def predict(self, inputs):
        return "{word}"
"""


def test_a_push_goes_through_its_states(account, clock):
    """Built, deployed, loaded, serving; only then does the environment point at it."""
    made = account.push()
    assert made.status() == "BUILDING"
    assert made.shown()["autoscaling_settings"] is None
    environment = made.environment()
    assert environment["current_deployment"] is None
    assert environment["candidate_deployment"]["id"] == made.id
    assert environment["in_progress_promotion"]["status"] == "RELEASING"
    clock.advance(2)
    assert made.status() == "DEPLOYING"
    clock.advance(1)
    assert made.status() == "LOADING_MODEL"
    clock.advance(3)
    assert made.status() == "ACTIVE"
    environment = made.environment()
    assert environment["current_deployment"]["id"] == made.id
    assert environment["candidate_deployment"] is None
    assert made.shown()["is_production"] is True
    assert made.shown()["environment"] == "production"


def test_a_dry_run_gives_no_credentials(account):
    """And checks all the same."""
    resources = {"accelerator": "L4"}
    deployment = {"config": {"model_name": "a", "resources": resources}}
    body = {"name": "a", "dry_run": True, "deployment": deployment}
    answer = account.http.post("/v1/prepare_model_upload", json=body)
    assert set(answer.json().values()) == {None}
    resources["accelerator"] = "l4"
    answer = account.http.post("/v1/prepare_model_upload", json=body)
    assert answer.status_code == 400
    assert "l4" in answer.json()["message"]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"config": {"autoscaling": {}}}, "autoscaling"),
        ({"config": {"resources": {"accelerator": "H100:16"}}}, "instance type"),
        ({"config": {"python_version": "3.11"}}, "python_version"),
        ({"wrong": 1}, "wrong"),
        ({"config": {}, "is_development": True, "environment_name": "production"}, "development"),
        ({"config": {}, "instance_type_id": "L4:4x16"}, "preserve_env_instance_type"),
        ({"config": {}, "autoscaling_schedule_settings": {}}, "environment_name"),
        ({"config": {}, "environment_name": "a", "create_environment_if_missing": False}, "a not"),
        ({"config": {}, "deploy_timeout_minutes": 5}, "deploy_timeout_minutes"),
        ({"config": {}, "deployment_name": "a b"}, "deployment_name"),
        ({"config": {}, "autoscaling_settings": {"scale_down_delay": 3601}}, "scale_down_delay"),
        ({"config": {}, "autoscaling_settings": {"min_replicas": 1}}, "min_replicas"),
    ],
)
def test_what_may_not_be_pushed(account, members, said):
    """Is refused before anything is uploaded."""
    body = {"name": "a", "deployment": {"config": {}, **members}}
    answer = account.http.post("/v1/prepare_model_upload", json=body)
    assert answer.status_code in (400, 404)
    assert said in answer.json()["message"]


def test_names_and_ids_exclude_each_other(account):
    """A new model has a name, a known one an id; a taken name is a conflict."""
    made = account.model()
    deployment: dict[str, object] = {"config": {}}
    for body in ({}, {"name": "a", "model_id": made.model_id}):
        answer = account.http.post(
            "/v1/prepare_model_upload", json={**body, "deployment": deployment}
        )
        assert answer.status_code == 400
    body = {"name": "tested", "deployment": deployment}
    assert account.http.post("/v1/prepare_model_upload", json=body).status_code == 409
    missing = {"model_id": "none", "deployment": deployment}
    assert account.http.post("/v1/prepare_model_upload", json=missing).status_code == 404


def test_an_archive_must_have_been_uploaded(account):
    """A key that nothing was put under is refused."""
    made = account.prepared("a")
    source = {"name": "a", "s3_key": made["s3_key"], "deployment": {"config": {}}}
    answer = account.http.post("/v1/models", json={"source": source})
    assert answer.status_code == 400
    assert made["s3_key"] in answer.json()["message"]


def test_a_second_push_is_promoted_when_it_answers(account, clock):
    """Until then the first one serves; afterwards the first is at zero and still answers."""
    first = account.model(NOTING.format(word="old"), limits={"min_replica": 1})
    second = account.push(NOTING.format(word="new"), limits={"min_replica": 1})
    clock.advance(3)
    assert first.call({}).json() == "old"
    assert second.settle() == "ACTIVE"
    assert first.call({}).json() == "new"
    assert first.environment()["current_deployment"]["id"] == second.id
    assert first.status() == "SCALED_TO_ZERO"
    assert first.call({}, target=f"deployment/{first.id}").json() == "old"


def test_a_failed_push_leaves_the_old_one(account, clock):
    """The candidate is dropped, its log says why."""
    first = account.model(NOTING.format(word="old"))
    account.emulator.fail("crash", on="deploy")
    second = account.push(NOTING.format(word="new"))
    assert second.settle() == "BUILD_FAILED"
    assert any("build failed" in line for line in second.lines())
    environment = first.environment()
    assert environment["candidate_deployment"] is None
    assert environment["current_deployment"]["id"] == first.id
    assert first.call({}).json() == "old"
    answer = second.call({}, target=f"deployment/{second.id}")
    assert (answer.status_code, answer.json()["error_code"]) == (503, "model_not_ready")


def test_a_failed_push_can_be_tried_again(account):
    """``retry`` builds it anew; of what did not fail it says so."""
    account.emulator.fail("crash", on="deploy")
    made = account.push()
    assert made.settle() == "BUILD_FAILED"
    assert made.post("retry").json()["retried"] is True
    assert made.settle() == "ACTIVE"
    told = made.post("retry").json()
    assert (told["retried"], "ACTIVE" in told["reason"]) == (False, True)


def test_a_model_that_does_not_load(account):
    """Is tried a few times, then has failed; nothing runs on."""
    made = account.push("class Model:\n    def load(self):\n        raise OSError('no weights')\n")
    assert made.settle() == "FAILED"
    lines = made.lines()
    assert any("no weights" in line for line in lines)
    assert sum("container exited" in line for line in lines) == 3
    assert made.state.replicas == {}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"model/model.py": b""}, "config.yaml"),
        ({"config.yaml": b"{}"}, "model/model.py"),
        ({"config.yaml": b"{}", "lib/model.py": b""}, "model/model.py"),
    ],
)
def test_an_archive_that_cannot_be_built(account, files, said):
    """What is missing is in the log."""
    key = account.uploaded("a", files)
    source = {"name": "a", "s3_key": key, "deployment": {"config": {"model_name": "a"}}}
    created = account.http.post("/v1/models", json={"source": source}).json()
    account.emulator.clock.advance(2)
    model, deployment = created["model"]["id"], created["deployment"]["id"]
    place = f"/v1/models/{model}/deployments/{deployment}"
    assert account.http.get(place).json()["status"] == "BUILD_FAILED"
    logs = account.http.get(f"{place}/logs").json()["logs"]
    assert any(said in line["message"] for line in logs)


def test_dropped_names_are_gone(account):
    """Silently, as Truss's build does; ``packages`` can be imported."""
    code = """
    from pathlib import Path
    import helper
    class Model:
        def predict(self, inputs):
            folder = Path(helper.__file__).parent
            return [helper.WORD, sorted(str(path) for path in folder.glob("[a-z]*"))]
    """
    files = {
        "packages/helper.py": "WORD = 'kept'\n",
        "packages/lib/inner.py": "",
        "packages/native.so": "",
        "packages/notes.log": "",
        "data/words.txt": "a",
    }
    word, names = account.model(code, files=files).call({}).json()
    assert word == "kept"
    assert [name.rpartition("/")[2] for name in names] == ["helper.py"]


def test_a_compressed_archive_is_no_archive(account):
    """Truss sends plain tar files."""
    made = account.prepared("a")
    url = account.place(made)
    body = gzip.compress(archive({"config.yaml": b"{}", "model/model.py": b""}))
    headers = signed(url, made["creds"], made["s3_region"])
    assert httpx.put(url, content=body, headers=headers, timeout=60).status_code == 200
    source = {"name": "a", "s3_key": made["s3_key"], "deployment": {"config": {}}}
    account.http.post("/v1/models", json={"source": source})
    account.emulator.clock.advance(2)
    (deployment,) = account.emulator.model("a").deployments.values()
    assert deployment.phase == "BUILD_FAILED"


def test_promotion_overwrites_the_limits(account, clock):
    """An environment's settings win over a deployment's own; a push brings its own along."""
    first = account.model(limits={"max_replica": 3})
    assert first.environment()["autoscaling_settings"]["max_replica"] == 3
    second = account.model(environment_name=None, limits={"max_replica": 7})
    assert second.shown()["autoscaling_settings"]["max_replica"] == 7
    body = {"deployment_id": second.id, "preserve_env_instance_type": False}
    answer = account.http.post(f"{first.production}/promote", json=body)
    assert answer.status_code == 200, answer.text
    clock.advance(2)
    assert second.environment()["current_deployment"]["id"] == second.id
    assert second.shown()["autoscaling_settings"]["max_replica"] == 3
    third = account.model(limits={"max_replica": 5})
    assert third.environment()["autoscaling_settings"]["max_replica"] == 5


def test_the_environments_machine_may_win(account):
    """With ``preserve_env_instance_type`` the pushed accelerator is ignored."""
    first = account.model(config={"resources": {"accelerator": "L4"}})
    assert first.shown()["instance_type_name"] == "L4:4x16"
    h100 = {"resources": {"accelerator": "H100"}}
    second = account.model(config=h100, preserve_env_instance_type=True)
    assert second.shown()["instance_type_name"] == "L4:4x16"
    third = account.model(config=h100)
    assert third.shown()["instance_type_name"] == "H100:26x234"


def test_the_limits_of_an_environment_change(account):
    """They are in force for what it points at; the same again is no change."""
    made = account.model()
    body = {"autoscaling_settings": {"max_replica": 4, "scale_down_delay": 120}}
    answer = account.http.patch(made.production, json=body).json()
    assert answer["status"] == "ACCEPTED"
    assert made.shown()["autoscaling_settings"]["max_replica"] == 4
    assert account.http.patch(made.production, json=body).json()["status"] == "UNCHANGED"
    wrong = {"autoscaling_settings": {"min_replica": 9}}
    assert account.http.patch(made.production, json=wrong).status_code == 400
    unknown = {"autoscaling_settings": {"min_replicas": 1}}
    assert account.http.patch(made.production, json=unknown).status_code == 400


def test_a_development_deployment_has_no_limits(account):
    """One replica, at zero when idle, replaced by the next push."""
    first = account.model(is_development=True, environment_name=None, autoscaling_settings=None)
    assert first.shown()["is_development"] is True
    answer = account.http.patch(f"{first.path}/autoscaling_settings", json={"max_replica": 2})
    assert answer.status_code == 400
    assert first.call({"a": 1}, target="development").json() == {"a": 1}
    second = account.model(is_development=True, environment_name=None, autoscaling_settings=None)
    assert account.http.get(first.path).status_code == 404
    assert second.shown()["name"] == "development"


def test_what_can_be_deleted(account):
    """Not what an environment points at; a model with everything."""
    first = account.model()
    second = account.model()
    assert account.http.delete(second.path).status_code == 400
    assert account.http.delete(first.path).json()["deleted"] is True
    assert account.http.get(first.path).status_code == 404
    answer = account.http.delete(f"/v1/models/{second.model_id}")
    assert answer.json() == {"id": second.model_id, "deleted": True}
    assert second.call({}).status_code == 404
    assert account.emulator.orphans() == []


def test_switching_off_and_on(account):
    """A deactivated deployment is not found, costs nothing, and comes back."""
    made = account.model(limits={"min_replica": 1})
    assert made.post("deactivate").json() == {"success": True, "no_op": False}
    assert made.post("deactivate").json()["no_op"] is True
    assert made.status() == "INACTIVE"
    answer = made.call({})
    assert (answer.status_code, answer.json()["error_code"]) == (404, "model_does_not_exist")
    before = account.emulator.billed_seconds.total
    account.emulator.clock.advance(600)
    assert account.emulator.billed_seconds.total == before
    assert made.post("activate").json()["no_op"] is False
    assert made.settle() == "ACTIVE"
    assert made.call({"b": 2}).json() == {"b": 2}


def test_environments_of_ones_own(account):
    """Made by a push, or by hand; production cannot go."""
    made = account.model(environment_name="staging")
    assert made.call({"a": 1}, target="environments/staging").json() == {"a": 1}
    assert made.call({}).status_code == 404
    listed = account.http.get(f"/v1/models/{made.model_id}/environments").json()["environments"]
    assert [each["name"] for each in listed] == ["production", "staging"]
    place = f"/v1/models/{made.model_id}/environments"
    assert account.http.post(place, json={"name": "staging"}).status_code == 409
    assert account.http.post(place, json={"name": "extra"}).status_code == 200
    assert account.http.delete(f"{place}/production").status_code == 400
    assert account.http.delete(f"{place}/extra").json()["deleted"] is True
    refused = account.http.patch(
        f"{place}/staging", json={"promotion_settings": {"rolling_deploy": True}}
    )
    assert refused.status_code == 501


def test_secrets_are_kept_and_not_shown(account):
    """Names only; the model reads them, and only the declared ones."""
    code = """
    class Model:
        def __init__(self, secrets, environment, config, data_dir):
            self.secrets, self.environment = secrets, environment
        def predict(self, inputs):
            try:
                return [self.secrets[inputs["name"]], self.environment]
            except Exception as error:
                return type(error).__name__
    """
    answer = account.http.post("/v1/secrets", json={"name": "TOKEN", "value": "s3cret"})
    assert "s3cret" not in answer.text
    account.http.post("/v1/secrets", json={"name": "OTHER", "value": "hidden"})
    made = account.model(code, config={"secrets": {"TOKEN": None, "ABSENT": None}})
    assert made.call({"name": "TOKEN"}).json() == ["s3cret", {"name": "production"}]
    assert made.call({"name": "OTHER"}).json() == "SecretNotFound"
    assert made.call({"name": "ABSENT"}).json() == "SecretNotFound"
    listed = account.http.get("/v1/secrets").json()["secrets"]
    assert [each["name"] for each in listed] == ["TOKEN", "OTHER"]
    assert not any("s3cret" in repr(each) for each in account.emulator.requests)
    assert account.http.delete("/v1/secrets/TOKEN").json() == {"name": "TOKEN"}
    assert account.http.delete("/v1/secrets/TOKEN").status_code == 404


def test_logs_in_windows(account, clock):
    """Ordered, with levels, filtered, at most a thousand, and no window above a week."""
    made = account.model()
    assert "model loaded" in made.lines()
    newest = made.post("logs", {"limit": 1}).json()["logs"]
    assert newest[0]["message"] == "promoted to production"
    assert made.lines(includes=["load"], excludes=["model"]) == []
    assert made.lines(search_pattern="^model l") == ["model loaded"]
    assert "model loaded" not in made.lines(min_level="INFO")
    times = [int(line["timestamp"]) for line in made.post("logs").json()["logs"]]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == len(times)
    clock.advance(3600)
    assert made.lines() == []
    assert made.lines(start_epoch_millis=int(clock.wall() * 1000) - 4_000_000) != []
    too_wide = {"start_epoch_millis": 0}
    assert made.post("logs", too_wide).status_code == 400
    assert made.post("logs", {"limit": 1001}).status_code == 400


def test_starts_are_measured(account, clock):
    """By phase, with percentiles."""
    made = account.model()
    now = int(clock.wall() * 1000)
    window = {"start_epoch_millis": now - 60_000, "end_epoch_millis": now}
    summary = account.http.get(f"{made.path}/startups/summary", params=window).json()
    assert summary["total_duration_ms"]["sample_count"] == 1
    assert summary["total_duration_ms"]["p50_ms"] == 3000
    (item,) = account.http.get(f"{made.path}/startups", params=window).json()["items"]
    assert (item["outcome"], item["duration_ms"]) == ("SUCCESS", 3000)
    assert account.http.get(f"{made.path}/startups/summary").status_code == 400


def test_prices_and_the_bill(account, clock):
    """By instance type, per minute."""
    listed = account.http.get("/v1/instance_type_prices").json()["instance_types"]
    prices = {each["instance_type"]["id"]: each["price"] for each in listed}
    made = account.model(limits={"min_replica": 1}, config={"resources": {"accelerator": "L4"}})
    clock.advance(600)
    dates = {"start_date": "2026-01-01", "end_date": "2026-01-02"}
    usage = account.http.get("/v1/billing/usage_summary", params=dates).json()["dedicated_usage"]
    assert usage["minutes"] == 11
    assert usage["total"] == pytest.approx(11 * prices["L4:4x16"])
    assert made.shown()["instance_type_name"] == "L4:4x16"
    assert account.http.get("/v1/billing/usage_summary").status_code == 400


def test_the_pushed_configuration_is_shown(account):
    """With all defaults, and as its text."""
    made = account.model(raw_config="model_name: tested  # mine\n")
    shown = account.http.get(f"{made.path}/config").json()
    assert shown["config"]["model_class_name"] == "Model"
    assert shown["raw_config"].endswith("# mine\n")
    raw = account.http.get(f"{made.path}/config", params={"output_format": "raw"}).json()
    assert raw["config"] is None


def test_a_model_is_renamed(account):
    """The next push under the old name would make another."""
    made = account.model()
    place = f"/v1/models/{made.model_id}"
    assert account.http.patch(place, json={"name": "other"}).json()["name"] == "other"
    assert account.http.get("/v1/models", params={"name": "tested"}).json() == {"models": []}
    assert account.http.patch(made.path, json={"name": "v-1.0"}).json()["name"] == "v-1.0"


@pytest.mark.parametrize(
    "options",
    [
        EmulatorOptions(
            api_keys={"full": frozenset({"manage", "invoke"}), "call": frozenset({"invoke"})}
        )
    ],
)
def test_keys_and_what_they_may(account):
    """Bearer and the older scheme; a key that may only call cannot manage."""

    def status(authorization, path="/v1/models"):
        return account.http.get(path, headers={"Authorization": authorization}).status_code

    assert status("Bearer full") == status("Api-Key full") == 200
    assert status("Bearer wrong") == status("Basic full") == status("") == 401
    assert status("Bearer call") == 403
    place = account.urls["model_url"].format(model_id="none") + "/async_request/none"
    assert status("Bearer call", place) == 404


@pytest.mark.parametrize("options", [EmulatorOptions(replica_quota=2)])
def test_a_quota_of_replicas(account):
    """More than the workspace may have is refused."""
    made = account.model(limits={"max_replica": 2})
    body = {"max_replica": 3}
    answer = account.http.patch(f"{made.path}/autoscaling_settings", json=body)
    assert answer.status_code == 400
    assert "limit of 2" in answer.json()["message"]


def test_unknown_routes(account):
    """404, and 405 for a wrong method."""
    assert account.http.get("/v1/none").status_code == 404
    assert account.http.put("/v1/models").status_code == 405
    assert account.http.post("/v1/models", content=b"{no").status_code == 400


def test_the_class_may_be_called_anything(account):
    """As the configuration says."""
    code = ECHO.replace("class Model", "class Mine")
    config = {"model_class_name": "Mine"}
    assert account.model(code, config=config).call([1]).json() == [1]
