"""What a plan says is what the SDK is told; here, the SDK's own objects. Needs the SDK."""

from __future__ import annotations

from typing import Any

import pytest

from gpuhub_modal.building import make_app
from gpuhub_modal.deploying import write_folder
from gpuhub_modal.translate import ENTRY
from tests.adapters.modal.test_plan import SPECS, planned
from tests.adapters.plans import BUNDLE

modal = pytest.importorskip("modal", reason="needs the SDK: run in .venv-modal")


def built(name: str, folder: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Make the app of a golden plan; give the SDK's own function and what was planned."""
    plan = planned(**SPECS[name])
    facts = {"gpuhub": {"fingerprint": "f" * 43, "version": "1"}}
    bodies = {each.step: plan.request(each.step, facts).json for each in plan.requests}
    place = write_folder(folder, BUNDLE, bodies["mount"]["deployment"])
    app = make_app(bodies, place, None)
    from modal._utils.async_utils import synchronizer

    state = synchronizer._translate_in(app)._local_state
    ((tag, function),) = state.functions.items()
    return state, function, {**bodies["function"], "tag": tag}


@pytest.mark.parametrize("name", SPECS)
def test_every_golden_plan_can_be_built(name, tmp_path):
    """One function, under its name, from the entry module; nothing is mounted by itself."""
    state, function, body = built(name, tmp_path)
    assert body["tag"] == body["function_name"] == "embed"
    info = function._source_info
    assert (info.module_name, info.implementation_name) == (ENTRY, body["implementation_name"])
    assert not info.is_serialized()
    assert state.tags["gpuhub-fingerprint"] == "f" * 43
    assert len(function._spec.mounts) == 1, "the SDK's own, and the image's layer is not among them"


@pytest.mark.parametrize("name", SPECS)
def test_resources_are_the_plans(name, tmp_path):
    """As the SDK keeps them."""
    _, function, body = built(name, tmp_path)
    spec, resources = function._spec, body["resources"]
    gpus = [spec.gpus] if isinstance(spec.gpus, str) else list(spec.gpus or [])
    wanted = [
        f"{each['gpu_type']}:{each['count']}".removesuffix(":1")
        for each in resources.get("gpu_config", [])
    ]
    assert gpus == wanted
    cpu = spec.cpu[0] if isinstance(spec.cpu, tuple) else spec.cpu
    assert (cpu and int(cpu * 1000)) == resources.get("milli_cpu")
    assert spec.memory == resources.get("memory_mb")
    assert spec.ephemeral_disk == resources.get("ephemeral_disk_mb")
    assert (spec.cloud or None) == body.get("cloud_provider_str")
    assert len(spec.volumes) == len(
        [*body.get("volume_mounts", []), *body.get("cloud_bucket_mounts", [])]
    )
