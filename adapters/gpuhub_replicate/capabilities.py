"""What Replicate can do: every feature, each with how or why not."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gpuhub.adapter import Feature, Support

__all__ = ["LOCAL_SECRETS", "capabilities"]

LOCAL_SECRETS = (
    "Replicate stores no secrets for deployments: a value could only be put into the image, where"
    " whoever may pull it reads it; pass it as an argument, or allow this with"
    " `secrets_in_image = true` in [providers.replicate]"
)

_EMULATED = {
    Feature.GPU_FALLBACKS: "the first of them that Replicate lists when it is deployed",
    Feature.GPU_QUERY: "the cheapest card with that memory",
    Feature.IMAGE_REFERENCE: "layers are added to it, and the result is pushed to Replicate",
    Feature.IMAGE_PIP: "a layer of wheels that gpuhub puts together",
    Feature.TIMEOUT: "the worker ends a call at its limit; Replicate's own is 30 minutes",
    Feature.ENV: "in the image: another value is another version",
    Feature.STREAM: "the worker's lines over Replicate's event stream, or polled after it closed",
    Feature.LOGS: "of the deployment's predictions of the last hour, put one after the other",
    Feature.LOGS_FOLLOW: "the list of predictions is read again and again",
    Feature.WARM: "a prediction that the worker answers without running the function; billed",
    Feature.DELETE: (
        "switched off at once (0 instances); Replicate removes a deployment only after 15 minutes"
        " without use: `gpuhub doctor` does it then"
    ),
}

_NO_BUILD = 'nothing is built when an image is pushed; set `mode = "cog"` (needs Docker)'
_UNSUPPORTED = {
    Feature.CPU: "comes with the hardware",
    Feature.MEMORY: "comes with the hardware",
    Feature.DISK: "comes with the hardware",
    Feature.IMAGE_APT: _NO_BUILD,
    Feature.IMAGE_COMMANDS: _NO_BUILD,
    Feature.IMAGE_REGISTRY_SECRET: "Replicate pulls from its own registry only",
    Feature.BUFFER_WORKERS: "Replicate has no buffer of idle instances",
    Feature.IDLE_TIMEOUT: "instances stop after a few idle minutes, which cannot be set",
    Feature.TARGET_IN_FLIGHT: "Replicate's autoscaler has no settings",
    Feature.SCALE_UP_DELAY: "Replicate's autoscaler has no settings",
    Feature.SCALE_WINDOW: "Replicate's autoscaler has no settings",
    Feature.STARTUP_TIMEOUT: "Replicate has no setting for the time a start may take",
    Feature.RETRIES: "Replicate repeats no prediction",
    Feature.BATCHING: "Replicate hands out single predictions",
    Feature.SECRETS: "Replicate stores no secrets for deployments; pass them as arguments",
    Feature.SECRETS_LOCAL: LOCAL_SECRETS,
    Feature.VOLUMES: "Replicate has no volumes; put files into the image, or fetch them in setup",
    Feature.BUCKETS: "Replicate mounts nothing; read the bucket in the function",
    Feature.SCHEDULE: "Replicate has no schedules: call the function from a scheduler of yours",
    Feature.REGIONS: "Replicate chooses where instances run",
    Feature.CLOUD: "Replicate chooses where instances run",
    Feature.SNAPSHOT: "Replicate starts instances from their image",
    Feature.MIN_CUDA: "Replicate chooses the hosts",
    Feature.PUBLIC: "every request needs an API token",
    Feature.KIND_WEB: "Replicate runs predictions, no web servers",
    Feature.IDEMPOTENCY_KEY: "Replicate has no such key: a lost submit is not repeated",
}


def capabilities(*, mode: str, secrets_in_image: bool) -> Mapping[Feature, Support]:
    """Give the support under the settings.

    Args:
        mode: ``"push"`` or ``"cog"``.
        secrets_in_image: Whether values of local secrets may go into images.
    """
    found = {feature: Support.native() for feature in Feature}
    found |= {feature: Support.emulated(how) for feature, how in _EMULATED.items()}
    found |= {feature: Support.unsupported(why) for feature, why in _UNSUPPORTED.items()}
    found[Feature.CONCURRENCY] = Support.native("in the worker: COG_MAX_CONCURRENCY")
    found[Feature.RESULT_KEPT] = Support.native("one hour")
    found[Feature.STATUS] = Support.native("limits and version; Replicate tells no worker counts")
    found[Feature.ROLLBACK] = Support.native("code and variables; hardware and limits stay")
    if mode == "cog":
        found[Feature.IMAGE_APT] = Support.native("system_packages of cog.yaml")
        found[Feature.IMAGE_COMMANDS] = Support.native("run of cog.yaml")
        found[Feature.IMAGE_REFERENCE] = Support.unsupported("Cog's CLI chooses the base image")
    if secrets_in_image:
        how = "in the image, readable by whoever may pull it"
        found[Feature.SECRETS_LOCAL] = Support.emulated(how)
    return MappingProxyType(found)
