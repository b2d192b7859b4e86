"""Plans in detail: secrets, reserved variables, options, images, costs."""

from __future__ import annotations

from typing import Any

import pytest

from gpuhub.errors import SpecError
from gpuhub.plan import Fidelity
from gpuhub.scaling import Scaling
from gpuhub.spec import (
    Image,
    Secret,
    Volume,
)
from gpuhub.worker.target import Target
from gpuhub_runpod.defaults import Defaults
from tests.adapters.runpod.plans import create_body, plan


def test_local_secrets_are_templates():
    """Allowed, the plan holds their place and never their value."""
    made = plan(
        Defaults(local_secrets_in_env=True), secrets=Secret.from_local_env("TOKEN", env="T")
    )
    assert made.row("secrets").fidelity is Fidelity.EMULATED
    (create,) = [request for request in made.requests if request.step == "create"]
    assert create.json["env"]["T"] == "{{secret:TOKEN}}"


def test_local_secrets_that_are_not_allowed_are_not_sent():
    """Not even when unsupported settings are only warned about."""
    assert "A" not in create_body(plan(secrets=Secret.from_local_env("A")))["env"]


def test_an_option_of_the_function_allows_local_secrets():
    """The explicit option wins over the setting."""
    options = {"runpod": {"local_secrets_in_env": True}}
    made = plan(secrets=Secret.from_local_env("A"), options=options)
    assert made.row("secrets").fidelity is Fidelity.EMULATED


def test_provider_secrets_are_references():
    """RunPod's own form, under the name asked for."""
    body = create_body(plan(secrets=Secret("hf.token:1", env="HF")))
    assert body["env"]["HF"] == "{{ RUNPOD_SECRET_hf.token:1 }}"


@pytest.mark.parametrize(
    "env", [{"RUNPOD_POD_ID": "x"}, {"GPUHUB_BOOT": "x"}, {"GPUHUB_CODE_7": "x"}]
)
def test_reserved_variables_are_refused(env):
    """RunPod's and the worker's own cannot be set."""
    with pytest.raises(SpecError, match=next(iter(env))):
        plan(env=env)


def test_the_port_of_a_web_worker_is_reserved():
    """For web functions only."""
    plan(env={"PORT": "1"})
    with pytest.raises(SpecError, match="PORT"):
        plan(env={"PORT": "1"}, target=Target("s", "app", "web"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"flashbot": True}, "did you mean 'flashboot'"),
        ({"prefetch": 0}, "prefetch"),
        ({"ttl": 5}, "ttl"),
        ({"ship": "pigeon"}, "ship"),
        ({"image_has_worker": "yes"}, "image_has_worker"),
    ],
)
def test_options_are_checked(options, words):
    """Unknown ones and wrong values are named."""
    with pytest.raises(SpecError, match=words):
        plan(options={"runpod": options})


def test_an_image_that_is_to_be_run_as_it_is_must_be_named():
    """There is no such stock image."""
    with pytest.raises(SpecError, match="image_has_worker"):
        plan(options={"runpod": {"image_has_worker": True}})


def test_an_image_of_the_users_is_warned_about():
    """Its entrypoint cannot be seen without the network."""
    made = plan(image=Image("vllm/vllm-openai:1"))
    assert made.ship.mode == "inline"
    assert "ENTRYPOINT" in made.warnings[0]
    assert plan().warnings == ()


def test_python_of_no_stock_image():
    """RunPod's own images have no Python 3.9: the plain one is taken."""
    assert create_body(plan(gpu="L4", image=Image(python="3.9")))["image"] == "python:3.9-slim"
    assert plan(gpu="L4").row("image.python").value == "runpod/queue-gpu:py3.12-latest"


def test_an_unknown_region():
    """Another provider's name is refused with RunPod's form."""
    with pytest.raises(SpecError, match="us-east"):
        plan(regions="us-east")


def test_cpu_workers_have_a_limit():
    """Asking for more than the largest flavor names both numbers."""
    with pytest.raises(SpecError, match="32 cores"):
        plan(cpu=33)


def test_costs():
    """Flex price of the dearest card, times the GPUs of a worker, times warm workers."""
    cost = plan(gpu=["L4:2", "H100:2"], scaling=Scaling(min_workers=3)).cost
    assert cost.worker_usd_per_hour == pytest.approx(0.00116 * 3600 * 2)
    assert cost.idle_usd_per_hour == pytest.approx(0.00116 * 3600 * 6)
    assert "2026" in cost.source
    assert plan().cost.worker_usd_per_hour is None
    assert plan(gpu="RTX-5090").cost.worker_usd_per_hour is None


def test_what_a_volume_does_not_keep():
    """Read-only and size are not RunPod's to promise."""
    row = plan(volumes={"/a": Volume("a", read_only=True, size_gb=10)}).row("volumes")
    assert "read_only is not enforced" in row.reason
    assert "size_gb is not used" in row.reason


def test_a_volume_of_an_image_that_runs_as_it_is():
    """Nobody makes a link there: it is where RunPod mounts it."""
    options = {"runpod": {"image_has_worker": True}}
    given: dict[str, Any] = {"image": Image("me/worker:1"), "options": options}
    elsewhere = plan(**given, volumes={"/a": Volume("a")})
    assert elsewhere.row("volumes").fidelity is Fidelity.UNSUPPORTED
    there = plan(**given, volumes={"/runpod-volume": Volume("a")})
    assert there.row("volumes").fidelity is Fidelity.EMULATED


def test_cuda_versions_as_an_option():
    """In the place of a lowest one, not beside it."""
    options = {"runpod": {"allowed_cuda_versions": ["12.8"]}}
    made = plan(gpu="L4", options=options)
    assert create_body(made)["gpu"]["allowedCudaVersions"] == ["12.8"]
    both = plan(gpu="L4", options=options, min_cuda="12.1")
    assert both.row("min_cuda").fidelity is Fidelity.UNSUPPORTED
    assert "minCudaVersion" not in create_body(both)["gpu"]


@pytest.mark.parametrize(
    ("memory", "fidelity"), [(4096, Fidelity.EXACT), (5000, Fidelity.APPROXIMATE)]
)
def test_memory_comes_with_cores(memory, fidelity):
    """The smallest flavor that has it."""
    row = plan(memory=memory).row("memory")
    assert row.fidelity is fidelity
    assert row.value == (["cpu5c", "cpu3c"] if memory == 4096 else ["cpu5g", "cpu3g"])
