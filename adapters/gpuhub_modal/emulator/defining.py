"""Checks what a client says about a function, as Modal documents it, and keeps it."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gpuhub_modal.emulator.catalog import CLOUDS, GPUS, MOST_TIMEOUT_S, REGIONS, WINDOW_S
from gpuhub_modal.emulator.definitions import Definition
from gpuhub_modal.emulator.problems import Refused, bad
from gpuhub_modal.emulator.relied import FIELDS, IGNORED
from gpuhub_modal.emulator.schedules import check_schedule

if TYPE_CHECKING:
    from gpuhub_modal.emulator.site import Site
    from gpuhub_modal.emulator.store import Store

__all__ = ["Definer", "check_autoscaler"]

_KNOWN = frozenset(FIELDS["Function"].split()) | frozenset(IGNORED.split())
_LARGEST_FUNCTION = 16 << 20
_LARGEST_BATCH = 1_000
_LONGEST_LINGER_MS = 600_000
_MOST_DISK_MIB = 3 << 20


class Definer:
    """Makes definitions. Every method needs the lock.

    Args:
        site: What all parts share.
        store: Secrets, volumes, mounts and images that functions name.
    """

    def __init__(self, site: Site, store: Store) -> None:
        self._site = site
        self._store = store

    def define(self, function_id: str, sent: Any, url: str) -> Definition:
        """Check and keep a definition.

        Args:
            function_id: Whose it is.
            sent: Modal's ``FunctionCreateRequest``.
            url: Address of the function, if it is one for the web.

        Raises:
            Refused: A value is not what Modal documents.
        """
        if sent.HasField("function_data"):
            data = sent.function_data
            ranked = [each.function for each in data.ranked_functions]
            if not ranked:
                raise bad("ranked_functions: there is none")
        else:
            ranked = [sent.function]
            data = self._site.wire.function_data(sent.function)
        for each in ranked:
            self.check(each)
        data.web_url = url
        return Definition(self._site.new_id("de"), function_id, ranked, data, url)

    def variant(self, function_id: str, options: Any, params: bytes) -> Callable[..., Definition]:
        """Give what makes the definition of a variant from that of its base.

        Args:
            function_id: Of the variant.
            options: Modal's ``FunctionOptions``.
            params: Arguments of the class, if it is an instance of one.
        """
        wire = self._site.wire

        def derive(base: Definition) -> Definition:
            ranked = [wire.with_options(each, options) for each in base.ranked]
            data = wire.function_data(ranked[0])
            return Definition(base.id, function_id, ranked, data, base.url, params)

        return derive

    def check(self, sent: Any) -> None:
        """Check one ``Function`` of Modal's.

        Raises:
            Refused: A value is not what Modal documents.
        """
        _check_known(sent)
        _check_resources(sent.resources)
        _check_times(sent)
        check_autoscaler(sent.autoscaler_settings, is_new=True)
        _check_batching(sent)
        _check_placement(sent)
        if sent.schedule.WhichOneof("schedule_oneof") is not None:
            check_schedule(sent.schedule)
        if len(sent.function_serialized) > _LARGEST_FUNCTION:
            raise bad(f"the function has {len(sent.function_serialized)} bytes; at most 16 MiB")
        self._check_names(sent)

    def _check_names(self, sent: Any) -> None:
        """Check that what a function names exists."""
        if sent.image_id:
            self._store.images.get(sent.image_id)
        for secret_id in sent.secret_ids:
            self._store.secrets.get(secret_id)
        for mount in sent.volume_mounts:
            self._store.volumes.get(mount.volume_id)
        for mount_id in sent.mount_ids:
            self._store.files.checksum(mount_id)


def check_autoscaler(settings: Any, *, is_new: bool) -> None:
    """Check Modal's ``AutoscalerSettings``.

    Args:
        settings: The settings.
        is_new: They come with a function. Else they change one, and 0 ends its maximum.

    Raises:
        Refused: They are not what Modal documents.
    """
    given = {field.name: value for field, value in settings.ListFields()}
    most = given.get("max_containers")
    if is_new and most == 0:
        raise bad("max_containers must be a positive integer (got 0)")
    if most and given.get("min_containers", 0) > most:
        raise bad(f"min_containers ({given['min_containers']}) is above max_containers ({most})")
    least_s, most_s = WINDOW_S
    window = given.get("scaledown_window")
    if window is not None and not least_s <= window <= most_s:
        raise bad(f"scaledown_window must be between {least_s} and {most_s} (got {window})")


def _check_known(sent: Any) -> None:
    """Refuse a setting that this emulator has never heard of, instead of dropping it."""
    unknown = [field.name for field, _ in sent.ListFields() if field.name not in _KNOWN]
    if unknown:
        raise Refused("UNIMPLEMENTED", f"the emulator does not know {', '.join(unknown)}")
    played = {"a server": sent.is_server, "a cluster": sent._experimental_group_size > 1}  # noqa: SLF001 - its name
    for what, is_asked in played.items():
        if is_asked:
            raise Refused("UNIMPLEMENTED", f"the emulator does not play {what}")


def _check_resources(resources: Any) -> None:
    gpu, count = resources.gpu_config.gpu_type, resources.gpu_config.count
    if resources.ephemeral_disk_mb > _MOST_DISK_MIB:
        raise bad(f"ephemeral_disk must be at most {_MOST_DISK_MIB} MiB")
    if not gpu:
        return
    if gpu not in GPUS:
        near = difflib.get_close_matches(gpu, GPUS, n=3)
        raise bad(
            f"unknown GPU type {gpu!r}" + (f"; did you mean {', '.join(near)}?" if near else "")
        )
    if not 1 <= count <= GPUS[gpu]:
        raise bad(f"GPU count for {gpu} must be between 1 and {GPUS[gpu]} (got {count})")


def _check_times(sent: Any) -> None:
    for name in ("timeout_secs", "startup_timeout_secs"):
        seconds = getattr(sent, name)
        if not 1 <= seconds <= MOST_TIMEOUT_S:
            raise bad(f"{name} must be between 1 and {MOST_TIMEOUT_S} (got {seconds})")


def _check_batching(sent: Any) -> None:
    if sent.batch_max_size > _LARGEST_BATCH:
        raise bad(f"batch_max_size must be at most {_LARGEST_BATCH} (got {sent.batch_max_size})")
    if sent.batch_linger_ms > _LONGEST_LINGER_MS:
        raise bad(f"batch_linger_ms must be at most {_LONGEST_LINGER_MS}")
    if sent.target_concurrent_inputs > max(1, sent.max_concurrent_inputs):
        raise bad("target_concurrent_inputs is above max_concurrent_inputs")


def _check_placement(sent: Any) -> None:
    cloud = sent.cloud_provider_str
    if cloud and cloud.lower() not in CLOUDS:
        raise bad(f"unknown cloud {cloud!r}: one of {', '.join(sorted(CLOUDS))}")
    for region in sent.scheduler_placement.regions:
        if region not in REGIONS:
            raise bad(f"unknown region {region!r}")
