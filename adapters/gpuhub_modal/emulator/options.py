"""How the emulator of Modal behaves where Modal leaves a choice, or tells nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["EmulatorOptions"]

ContainerKind = Literal["forked", "process"]

DAY_S = 86_400.0
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class EmulatorOptions:
    """Settings of the emulator; times in clock seconds.

    Attributes:
        containers: Both kinds run the container entry point of the ``modal`` package. ``forked``:
            in a child of one Python that has it imported, quick to start. ``process``: as
            ``python -m modal._container_entrypoint``, as a container of Modal's starts it.
        cold_start_s: From the start of a container until it takes inputs, real start-up aside.
            Modal documents seconds for this; images and imports decide.
        scaledown_s: How long an idle container lives when the function names no window
            (documented: 60 s).
        result_kept_s: How long a result can be asked for (documented: 7 days).
        crash_limit: How often an input may lose its container, and containers may fail to start,
            before inputs fail. Modal documents that those of deployed apps are rescheduled for
            ever; a test could not end so.
        sync_queue: Most inputs of waited calls that wait for one function (documented: 2,000).
        async_queue: The same for spawned ones (documented: 1,000,000).
        input_bytes: Largest input inside a request (client source: 2 MiB).
        spawn_bytes: The same for a spawned call (client source: 8 KiB).
        blob_bytes: Largest blob. From 1 GiB Modal takes parts, which are not played.
        tokens: Accepted tokens, id to secret. Empty: any pair is.
        proxy_tokens: Accepted ``Modal-Key`` headers with their ``Modal-Secret``, for web functions
            that want them. Empty: any pair is.
        builder_version: Image builder of the environments.
        hold_s: Real seconds a question may be held back while code really runs, so that a virtual
            clock does not run away from it.
        boot_s: The same, while a container's process really starts.
        grace_s: Real seconds a stopped container has to leave by itself.
    """

    containers: ContainerKind = "forked"
    cold_start_s: float = 2.0
    scaledown_s: float = 60.0
    result_kept_s: float = 7 * DAY_S
    crash_limit: int = 2
    sync_queue: int = 2_000
    async_queue: int = 1_000_000
    input_bytes: int = 2 * MIB
    spawn_bytes: int = 8 * 1024
    blob_bytes: int = 1024 * MIB
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    builder_version: str = "2025.06"
    hold_s: float = 0.05
    boot_s: float = 10.0
    grace_s: float = 2.0
