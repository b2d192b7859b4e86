"""What Beam can do: every feature, each with how or why not."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gpuhub.adapter import Feature, Support

__all__ = ["CAPABILITIES"]

_EMULATED = {
    Feature.GPU_QUERY: "the smallest card with that memory",
    Feature.RETRIES: (
        "by gpuhub's worker, within the call: Beam's requests have none, and those of its queue "
        "lose the traceback"
    ),
    Feature.SECRETS_LOCAL: "kept as a workspace secret, one for each deployment",
    Feature.BUCKETS: "the whole bucket is mounted; a part of one is a link into it",
    Feature.SNAPSHOT: "a CRIU checkpoint after setup(), GPU memory included; for one GPU",
    Feature.SCALE_LIVE: "the live stub's configuration is edited and its deployment started again",
    Feature.LOGS_FOLLOW: "Beam's stream of the app's log, from the last line read",
}

_UNSUPPORTED = {
    Feature.DISK: "Beam has no size of ephemeral disk; use a volume",
    Feature.BUFFER_WORKERS: "Beam has no buffer of idle containers",
    Feature.SCALE_UP_DELAY: "Beam starts containers for waiting calls at once",
    Feature.SCALE_WINDOW: "Beam looks at the calls of the moment",
    Feature.STARTUP_TIMEOUT: "Beam gives a container 15 minutes to start",
    Feature.BATCHING: "Beam hands out single calls",
    Feature.REGIONS: "a deployment has no region; only a private pool has: options.beam.pool",
    Feature.CLOUD: "Beam chooses the cloud; a private pool is yours: options.beam.pool",
    Feature.MIN_CUDA: "Beam has no such choice",
    Feature.IDEMPOTENCY_KEY: "Beam has no such key: a lost submit is not repeated",
}

_NOTED = {
    Feature.GPU_COUNT: "where the workspace has multi-GPU enabled",
    Feature.IMAGE_PYTHON: "3.9 to 3.12",
    Feature.CONCURRENCY: "threads or tasks of one process; spawned calls run in a process each",
    Feature.SPAWN: "a task queue of the same name; not with options.beam.kind = endpoint",
    Feature.CANCEL_QUEUED: "of spawned calls, and of waiting ones that have no container yet",
    Feature.CANCEL_RUNNING: (
        "of spawned calls and streams; a call that is waited for is given up by closing its "
        "connection, and Beam lets it run to its end"
    ),
    Feature.RESULT_KEPT: "of spawned calls, in the workspace's storage",
    Feature.SCHEDULE: "cron lines in UTC, and periods that a cron line has; made over gRPC",
    Feature.WEBHOOK: "signed; called by the worker at the end of the call",
    Feature.KIND_WEB: (
        "an asgi deployment; websockets too, each a request in flight until it is closed, whatever "
        "the timeout"
    ),
    Feature.PUBLIC: "reachable without a token, by the id of its version",
}

CAPABILITIES: Mapping[Feature, Support] = MappingProxyType(
    {
        **{feature: Support.native(_NOTED.get(feature, "")) for feature in Feature},
        **{feature: Support.emulated(how) for feature, how in _EMULATED.items()},
        **{feature: Support.unsupported(why) for feature, why in _UNSUPPORTED.items()},
    }
)
"""Support of every feature."""
