"""What RunPod serverless can do: every feature, each with how or why not."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gpuhub.adapter import Feature, Support

__all__ = ["CAPABILITIES", "LOCAL_SECRETS", "capabilities"]

LOCAL_SECRETS = (
    "RunPod's REST API cannot store a secret, and an environment variable is readable in the "
    "console and the API; store it in the console and name it, or allow this with "
    "`local_secrets_in_env = true` in [providers.runpod]"
)

_EMULATED = {
    Feature.GPU_FALLBACKS: "all are allowed at once: RunPod takes whichever has capacity",
    Feature.GPU_QUERY: "the cheapest card with that memory",
    Feature.IMAGE_PIP: "installed at a worker's start, or in a layer that gpuhub pushes",
    Feature.IMAGE_APT: "installed at a worker's start",
    Feature.IMAGE_COMMANDS: "run at a worker's start",
    Feature.VOLUMES: "one network volume, mounted at /runpod-volume; a link leads there",
    Feature.SNAPSHOT: "FlashBoot keeps the state of stopped workers",
    Feature.LOGS: "of the workers that exist now, one stream each; stopped ones are in the console",
    Feature.LOGS_FOLLOW: "the workers' streams are read in turn",
    Feature.ROLLBACK: (
        "REST v2 has no such route: the older release's settings are sent again, as a new release; "
        "idle workers are replaced at once"
    ),
    Feature.WARM: "a call that the worker answers without running the function",
}

_UNSUPPORTED = {
    Feature.BUFFER_WORKERS: "RunPod has no buffer; it may add up to 2 workers by itself",
    Feature.SCALE_WINDOW: "the autoscaler looks at the queue of the moment",
    Feature.STARTUP_TIMEOUT: "RunPod sets no limit to a worker's start",
    Feature.RETRIES: "RunPod repeats a failed job by hand only",
    Feature.BATCHING: "RunPod hands out single jobs",
    Feature.SECRETS_LOCAL: LOCAL_SECRETS,
    Feature.BUCKETS: "RunPod mounts network volumes only",
    Feature.SCHEDULE: "REST v2 has no schedules: call the function from a scheduler of yours",
    Feature.CLOUD: "serverless endpoints have no choice of cloud; choose regions",
    Feature.PUBLIC: "every request needs an API key",
    Feature.IDEMPOTENCY_KEY: "RunPod has no such key: a lost submit is not repeated",
}

_BY_DEFAULT = {
    **{feature: Support.native() for feature in Feature},
    **{feature: Support.emulated(how) for feature, how in _EMULATED.items()},
    **{feature: Support.unsupported(why) for feature, why in _UNSUPPORTED.items()},
    Feature.CPU: Support.native("of CPU endpoints; with a GPU they come with the card"),
    Feature.MEMORY: Support.native("by the CPU flavor; with a GPU it comes with the card"),
    Feature.CONCURRENCY: Support.native("in the worker, through concurrency_modifier"),
    Feature.RESULT_KEPT: Support.native("30 minutes for spawned calls, 1 minute for others"),
    Feature.KIND_WEB: Support.native("a load-balancing endpoint; HTTP, no websockets"),
    Feature.REGIONS: Support.native("data centers, such as EU-RO-1"),
    Feature.SECRETS: Support.native("{{ RUNPOD_SECRET_name }} references; stored in the console"),
}
CAPABILITIES: Mapping[Feature, Support] = MappingProxyType(_BY_DEFAULT)
"""Support with the default settings."""


def capabilities(*, local_secrets_in_env: bool) -> Mapping[Feature, Support]:
    """Give the support under the settings.

    Args:
        local_secrets_in_env: Whether values of local secrets may go into the environment, where
            whoever can see the endpoint can read them.
    """
    if not local_secrets_in_env:
        return CAPABILITIES
    how = "sent as environment variables, readable in the console and the API"
    return MappingProxyType({**CAPABILITIES, Feature.SECRETS_LOCAL: Support.emulated(how)})
