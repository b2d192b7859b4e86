"""Larger code: pushed to a registry on this machine, and run from its layers."""

from __future__ import annotations

import pytest

import gpuhub
from gpuhub_runpod.emulator import RunPodEmulator
from tests.registry.conftest import start_registry  # noqa: F401 - a fixture
from tests.registry.seed import seed
from tests.unit.oci.base_images import base_image


@pytest.fixture
def registry(start_registry):  # noqa: F811 - that fixture
    """Debian's, open to everybody."""
    return start_registry("")


def test_a_pushed_image_is_run(registry, gpuhub_contract_project, tmp_path):
    """Deployed without the code in the environment; the second deploy is another image."""
    base = seed(registry.address, "demo/base", base_image("oci"))
    project = gpuhub_contract_project
    with RunPodEmulator() as emulator:
        workspace = gpuhub.Workspace(
            "runpod",
            app="demo",
            root=project.root,
            provider_options={
                **emulator.start(),
                "registry": f"{registry.address}/demo/workers",
                "registry_insecure": True,
            },
            environ={"RUNPOD_API_KEY": "made-up", "GPUHUB_STATE_DIR": str(tmp_path / "state")},
            clock=emulator.clock,
        )
        function = gpuhub.function(
            image=gpuhub.Image(base), options={"runpod": {"ship": "registry"}}
        )(project.functions.combine)
        endpoint = function.in_workspace(workspace).deploy()
        made = emulator.endpoint(endpoint.ref.address).config
        assert made["image"].startswith(f"{registry.address}/demo/workers@sha256:")
        assert not any(name.startswith("GPUHUB_CODE_") for name in made["env"])
        assert endpoint.invoke(1, scale=2) == 22
        with project.having("gpuhub_contract_more.py", "ANSWER = 42\n"):
            function.in_workspace(workspace).deploy()
        assert emulator.endpoint(endpoint.ref.address).config["image"] != made["image"]
        assert endpoint.invoke(2) == 12
        workspace.close()
