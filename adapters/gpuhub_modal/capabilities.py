"""What Modal can do: every feature, each with how or why not."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gpuhub.adapter import Feature, Support

__all__ = ["CAPABILITIES"]

_EMULATED = {
    Feature.GPU_QUERY: "the cheapest card with that memory",
    Feature.WARM: (
        "a call that ends before it reaches the function: Modal starts containers for calls and"
        " for min_containers only; not for web functions"
    ),
}

_UNSUPPORTED = {
    Feature.SCALE_UP_DELAY: "Modal starts containers for waiting calls at once",
    Feature.SCALE_WINDOW: "Modal looks at the calls of the moment",
    Feature.MIN_CUDA: "all of Modal's hosts have the same, current driver",
    Feature.WEBHOOK: "Modal calls no URL at the end of a call: poll it",
}

_NOTED = {
    Feature.GPU_COUNT: "1 to 8, of the A10 1 to 4",
    Feature.GPU_FALLBACKS: "in the order given; Modal takes the first that is free",
    Feature.IMAGE_PYTHON: "3.10 to 3.15, as the environment's image builder version has them",
    Feature.IDLE_TIMEOUT: "2 to 3600 s",
    Feature.TIMEOUT: "1 s to 24 h for each run",
    Feature.RETRIES: "not for generators and web functions",
    Feature.BATCHING: "up to 1000 calls, 10 minutes",
    Feature.SECRETS: "a Modal secret holds several variables: name and variable are given",
    Feature.SECRETS_LOCAL: "a secret without a name that belongs to the app",
    Feature.BUCKETS: "S3, R2 and Google Cloud Storage",
    Feature.SNAPSHOT: "memory, and with gpu that of the GPU too (alpha at Modal)",
    Feature.PUBLIC: "else a request needs the headers Modal-Key and Modal-Secret of a proxy token",
    Feature.KIND_CLASS: "setup() runs when the container starts",
    Feature.KIND_WEB: "asgi_app; 150 s for a request; websockets by Modal's word, not verified",
    Feature.CANCEL_QUEUED: "FunctionCall.cancel",
    Feature.CANCEL_RUNNING: "of functions that are not async, where one call runs at a time",
    Feature.RESULT_KEPT: "7 days",
    Feature.IDEMPOTENCY_KEY: (
        "sent as x-idempotency-key, with which Modal's own client repeats a lost submit; Modal does"
        " not document it"
    ),
    Feature.SCALE_LIVE: "an override that the next deploy resets",
    Feature.VERSIONS: "through Modal's CLI, which takes seconds: the SDK has no function for it",
    Feature.ROLLBACK: "through Modal's CLI, which takes seconds; makes a new version",
    Feature.CONNECT: "modal://app/function, of gpuhub's or not; not methods of a Modal class",
}

CAPABILITIES: Mapping[Feature, Support] = MappingProxyType(
    {
        **{feature: Support.native(_NOTED.get(feature, "")) for feature in Feature},
        **{feature: Support.emulated(how) for feature, how in _EMULATED.items()},
        **{feature: Support.unsupported(why) for feature, why in _UNSUPPORTED.items()},
    }
)
"""Support of every feature."""
