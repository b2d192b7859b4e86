"""Makes containers: their place, their variables, and the machine that runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.logs import WorkerLog
from gpuhub_beam.emulator.containers import Container, Machine, MachineOrder

if TYPE_CHECKING:
    from gpuhub_beam.emulator.fleet import Fleet
    from gpuhub_beam.emulator.instances import Instance
    from gpuhub_beam.emulator.machines import Workshop
    from gpuhub_beam.emulator.site import Site
    from gpuhub_beam.emulator.tasks import Task

__all__ = ["Placement"]

Watch = Callable[["Fleet", Container], None]


class Placement:
    """Where containers run.

    Args:
        site: What all parts share.
        workshop: Makes machines.
        code: Gives the archive of an object.
        keep: Takes the log of each new container.

    Attributes:
        watch_health: Called with a container that serves HTTP and has just been started.
    """

    def __init__(
        self,
        site: Site,
        workshop: Workshop,
        code: Callable[[str], Path | None],
        keep: Callable[[Instance, str, WorkerLog], None],
    ) -> None:
        self._site = site
        self._workshop = workshop
        self._code = code
        self._keep = keep
        self.watch_health: Watch = lambda *_: None

    def container(self, instance: Instance, ready_at: float) -> Container:
        """Make a container, not yet placed."""
        stub = instance.stub
        container_id = f"{stub.kind}-{stub.id}-{self._site.new_id()[:8]}"
        path = self._workshop.folder / f"{container_id}.log"
        log = WorkerLog(path, self._site.timeline.wall, _is_whole_record)
        self._keep(instance, container_id, log)
        known = self._site.options.gpus
        gpus = instance.config["runtime"]["gpus"]
        placeable = (gpu for gpu in gpus if known is None or gpu in known)
        now = self._site.timeline.now()
        gpu = next(placeable, "")
        return Container(
            container_id, now, log, gpu, site=self._site, ready_at=ready_at, idle_since=now
        )

    def machine(
        self,
        instance: Instance,
        container: Container,
        task: Task | None,
        exited: Callable[[Machine, int], None],
    ) -> Machine:
        """Make the machine of a container, not yet started."""
        made: list[Machine] = []
        stub = instance.stub
        env = {
            **self._workshop.environment(),
            **dict(each.partition("=")[::2] for each in instance.config["env"]),
            **stub.secrets,
            **self._volumes(instance),
            **self._gateways(instance, container, task),
        }
        order = MachineOrder(
            container_id=container.id,
            kind=stub.kind,
            env=env,
            folder=str(self._workshop.unpacked(stub.object_id, self._code(stub.object_id))),
            log=container.log,
            exited=lambda code: exited(made[0], code),
        )
        container.log.say("container started")
        made.append(self._workshop.make(order))
        return made[0]

    def _volumes(self, instance: Instance) -> dict[str, str]:
        """A folder for each volume: nobody may mount one in this machine's root."""
        folders = {}
        for volume in instance.config["volumes"]:
            folder = self._workshop.folder / "volumes" / (volume.get("id") or "bucket")
            folder.mkdir(parents=True, exist_ok=True)
            folders[volume["mount_path"]] = str(folder)
        return {"GPUHUB_VOLUMES": json.dumps(folders)} if folders else {}

    def _gateways(
        self, instance: Instance, container: Container, task: Task | None
    ) -> dict[str, str]:
        """What the gateway and its workers put into the environment."""
        config = instance.config
        host, _, port = self._site.grpc_address.partition(":")
        given = {
            "BETA9_TOKEN": self._site.worker_token,
            "BETA9_GATEWAY_HOST": host or "127.0.0.1",
            "BETA9_GATEWAY_PORT": port or "0",
            "BETA9_GATEWAY_HOST_HTTP": "127.0.0.1",
            "BETA9_GATEWAY_PORT_HTTP": self._site.url.rpartition(":")[2],
            "BEAM_EMULATOR_URL": self._site.url,
            "BIND_PORT": "0",
            "CALLBACK_URL": config["callback_url"],
            "CONTAINER_HOSTNAME": "127.0.0.1",
            "CONTAINER_ID": container.id,
            "HANDLER": config["handler"],
            "KEEP_WARM_SECONDS": config["keep_warm_seconds"],
            "ON_START": config["on_start"],
            "PYTHON_VERSION": config["python_version"],
            "STUB_ID": instance.stub.id,
            "STUB_TYPE": instance.stub.type,
            "TASK_ID": task.id if task is not None else "",
            "TIMEOUT": config["task_policy"]["timeout"],
            "WORKERS": config["workers"],
            "BETA9_INPUTS": json.dumps(config["inputs"] or {}),
            "BETA9_OUTPUTS": json.dumps(config["outputs"] or {}),
        }
        return {name: str(value) for name, value in given.items()}


def _is_whole_record(text: bytes) -> bool:
    """Whether a line is over without an end: beta9's runner prints JSON documents so."""
    return text.endswith(b"}") and b'"beta9_log": true' in text
