"""What Baseten can do: every feature, each with how or why not."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gpuhub.adapter import Feature, Support

__all__ = ["CAPABILITIES", "HELD", "NO_RESULT"]

NO_RESULT = "Baseten keeps no result of a call: it answers who waits, or calls a webhook"
HELD = (
    "this process holds a waiting request: Baseten keeps no result, so the call is lost with the "
    "process. With the option `webhook` it goes to async_predict, and its result to the webhook"
)

_EMULATED = {
    Feature.GPU_FALLBACKS: "the first of the list that Baseten has: a deployment has one card",
    Feature.GPU_QUERY: "the smallest card with that memory",
    Feature.TIMEOUT: (
        "kept by gpuhub's worker: Baseten itself ends a call after 1200 s, whatever is asked"
    ),
    Feature.SECRETS_LOCAL: "stored as a secret of the workspace, named after the deployment",
    Feature.SPAWN: HELD,
    Feature.LOGS_FOLLOW: "asked for again every two seconds",
}

_UNSUPPORTED = {
    Feature.DISK: "the disk comes with the instance type",
    Feature.BUFFER_WORKERS: "Baseten has no buffer; set target_utilization lower to scale earlier",
    Feature.SCALE_UP_DELAY: "Baseten scales on the mean of a window: set scale_window",
    Feature.RETRIES: "Baseten repeats no call that was answered, not even with an error",
    Feature.BATCHING: "Baseten hands out single requests",
    Feature.VOLUMES: "Baseten has no volume that can be written; a Bucket is mounted read-only",
    Feature.SCHEDULE: "Baseten runs nothing by itself: call the function from a scheduler of yours",
    Feature.CLOUD: "Baseten chooses the cloud; choose a region",
    Feature.SNAPSHOT: "Baseten starts replicas from the image",
    Feature.MIN_CUDA: "Baseten lets nobody choose the driver",
    Feature.PUBLIC: "every request needs an API key",
    Feature.CANCEL_QUEUED: "a waiting request has no id; only the connection can be closed",
    Feature.CANCEL_RUNNING: (
        "Baseten cannot stop a call. The connection is closed, and gpuhub's worker stops the "
        "function if it is told; whether Baseten tells it is not known"
    ),
    Feature.IDEMPOTENCY_KEY: "Baseten has no such key: a lost submit is not repeated",
    Feature.WEBHOOK: (
        "Baseten calls a webhook for async_predict only, whose result nobody else gets: set the "
        "option `webhook` of the function, for its spawned calls"
    ),
    Feature.RESULT_KEPT: NO_RESULT,
}

CAPABILITIES: Mapping[Feature, Support] = MappingProxyType(
    {
        **{feature: Support.native() for feature in Feature},
        **{feature: Support.emulated(how) for feature, how in _EMULATED.items()},
        **{feature: Support.unsupported(why) for feature, why in _UNSUPPORTED.items()},
        Feature.CPU: Support.native("the smallest instance type that has as much"),
        Feature.MEMORY: Support.native("the smallest instance type that has as much"),
        Feature.IMAGE_REFERENCE: Support.native("a Debian image with Python 3.9 to 3.14"),
        Feature.CONCURRENCY: Support.native("in the image: a change needs a deploy"),
        Feature.BUCKETS: Support.native("`weights`, mounted read-only before a replica loads"),
        Feature.KIND_WEB: Support.native(
            "a docker_server, below the sync route; with an API key; HTTP, no websockets"
        ),
        Feature.REGIONS: Support.native("one region, by Baseten's name"),
        Feature.STATUS: Support.native("replicas as a number; Baseten tells no queue"),
        Feature.LOGS: Support.native("of the deployment that serves; the last 30 minutes"),
        Feature.ROLLBACK: Support.native("the older deployment is promoted"),
        Feature.WARM: Support.native("the wake route"),
    }
)
