"""Finds a card for a container, and what its code sees."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator.signals import Signal
from gpuhub_modal.emulator.containers import Container, Machine, MachineOrder
from gpuhub_modal.emulator.logs import ContainerLog
from gpuhub_modal.emulator.machines.library import library

if TYPE_CHECKING:
    from gpuhub_modal.emulator.functions import Function
    from gpuhub_modal.emulator.machines import Workshop
    from gpuhub_modal.emulator.site import Site
    from gpuhub_modal.emulator.store import Store

__all__ = ["Placement"]

_ARGUMENTS = "arguments.bin"


class Placement:
    """Makes containers and their machines. Every method needs the lock.

    Args:
        site: What all parts share.
        store: Secrets, volumes, mounts and images.
        workshop: Makes machines.
    """

    def __init__(self, site: Site, store: Store, workshop: Workshop) -> None:
        self._site = site
        self._store = store
        self._workshop = workshop
        self.logs: list[ContainerLog] = []
        self.containers: dict[str, Container] = {}
        self._owners: dict[str, Function] = {}

    def new_container(self, function: Function, ready_at: float) -> Container:
        """Make a container that has no place yet.

        Args:
            function: What it runs; must be published.
            ready_at: When its cold start ends, by the clock.
        """
        if function.definition is None:
            raise ValueError(f"{function.id} is not published")
        task_id = self._site.new_id("ta")
        folder = self._site.folder / "tasks" / task_id
        folder.mkdir(parents=True)
        log = ContainerLog(folder, task_id, function.id, self._log_time)
        self.logs.append(log)
        self._owners[task_id] = function
        signal = Signal(self._site.waker)
        now = self._site.now
        container = Container(
            task_id,
            function.id,
            function.definition,
            now,
            log,
            signal,
            site=self._site,
            ready_at=ready_at,
        )
        self.containers[task_id] = container
        return container

    def find_card(self, container: Container) -> bool:
        """Take the first of the function's GPUs that is there; tell whether there is one."""
        for ranked in container.definition.ranked:
            gpu = ranked.resources.gpu_config.gpu_type
            if not gpu or gpu not in self._site.sold_out:
                container.gpu = gpu
                return True
        return False

    def machine(self, container: Container, exited: Callable[[Machine, int], None]) -> Machine:
        """Make what runs a container's code, and all it sees."""
        machines: list[Machine] = []
        folder = container.log.folder
        root, workdir = self._root(container, folder / "root")
        env = self._env(container, root)
        (folder / _ARGUMENTS).write_bytes(self._arguments(container))
        order = MachineOrder(
            task_id=container.id,
            env=env,
            root=root,
            folder=workdir,
            log=container.log,
            exited=lambda code: exited(machines[0], code),
        )
        machines.append(self._workshop.make(order))
        return machines[0]

    def end(self, container: Container, *, at_once: bool) -> None:
        """End the machine of a container that is stopped."""
        machine, taker = container.machine, container.taker
        container.taker = None
        container.log.say("container stopped")
        if machine is None:
            container.log.close()
            return

        def kill() -> None:
            machine.stop()
            container.log.close()
            shutil.rmtree(container.log.folder / "root", ignore_errors=True)

        if at_once or taker is None:
            kill()
            return
        self._site.waker.wake_with(taker.future, [])
        self._site.waker.after(self._site.options.grace_s, kill)

    def end_all(self) -> None:
        """Kill what is left, also what was given time to leave."""
        for container in self.containers.values():
            if container.machine is not None:
                container.machine.stop()
            container.log.close()

    def _log_time(self) -> float:
        """When a line was seen: clients ask for spans of real time, on a virtual clock too."""
        return time.time() if self._site.is_virtual else self._site.wall

    def _ranked(self, container: Container) -> Any:
        """Modal's ``Function`` for the card that was found."""
        for ranked in container.definition.ranked:
            if ranked.resources.gpu_config.gpu_type == container.gpu:
                return ranked
        return container.definition.sent

    def _root(self, container: Container, root: Path) -> tuple[Path, Path]:
        """Lay out the container's files; give its ``/`` and where its code starts."""
        sent = self._ranked(container)
        image = self._store.images.layers(sent.image_id)
        workdir = self._store.images.workdir(image)
        folder = root / workdir.lstrip("/")
        folder.mkdir(parents=True)
        for mount_id, place in self._store.images.copies(image):
            self._store.files.lay_out(mount_id, root / place.lstrip("/"))
        for mount_id in sent.mount_ids:
            self._store.files.lay_out(mount_id, root)
        return root, folder

    def _env(self, container: Container, root: Path) -> dict[str, str]:
        sent, site = self._ranked(container), self._site
        layers = self._store.images.layers(sent.image_id)
        given = self._store.images.env(layers)
        for secret_id in sent.secret_ids:
            given |= self._store.secrets.values(secret_id)
        given = {name: _here(value, root) for name, value in given.items()}
        installed = self._store.images.packages(layers)
        packages = str(library(*installed)) if installed else ""
        volumes = self._store.volumes.folders(sent)
        if volumes:
            given["GPUHUB_VOLUMES"] = json.dumps(volumes)
        function = self._owners[container.id]
        own = {
            "MODAL_CLOUD_PROVIDER": "CLOUD_PROVIDER_AWS",
            "MODAL_CONTAINER_ARGUMENTS_PATH": str(container.log.folder / _ARGUMENTS),
            "MODAL_ENVIRONMENT": function.app.environment,
            "MODAL_IMAGE_ID": sent.image_id,
            "MODAL_IS_REMOTE": "1",
            "MODAL_OVERRIDE_HEADERS": f"x-gpuhub-task:{site.container_key}/{container.id}",
            "MODAL_REGION": next(iter(sent.scheduler_placement.regions), "us-east-1"),
            "MODAL_SERVER_URL": site.url,
            "MODAL_TASK_ID": container.id,
            "PYTHONPATH": _joined(str(root / "root"), given.get("PYTHONPATH"), packages),
        }
        return {**given, **own}

    def _arguments(self, container: Container) -> bytes:
        pb, sent = self._site.pb, self._ranked(container)
        function = self._owners[container.id]
        arguments = pb.ContainerArguments(
            task_id=container.id,
            function_id=function.id,
            app_id=function.app.id,
            function_def=sent,
            serialized_params=container.definition.serialized_params,
            environment_name=function.app.environment,
            app_layout=self._site.wire.layout(function.app),
        )
        return bytes(arguments.SerializeToString())


def _here(value: str, root: Path) -> str:
    """Give a path below the container's ``/`` as it is on this machine, if it is there."""
    if value.startswith("/") and (root / value.lstrip("/").split(":")[0]).exists():
        return str(root / value.lstrip("/"))
    return value


def _joined(*paths: str | None) -> str:
    return os.pathsep.join(filter(None, paths))
