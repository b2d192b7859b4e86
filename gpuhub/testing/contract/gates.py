"""What a test of a feature does where the provider lacks it: check that the engine refuses."""

# ruff: noqa: S101 - assert is how a test speaks
from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import pytest

from gpuhub.adapter import Feature
from gpuhub.endpoint import Endpoint
from gpuhub.errors import UnsupportedSetting
from gpuhub.gpus import gpu
from gpuhub.spec import Bucket, Secret, Volume
from gpuhub.testing.contract.bench import Bench
from gpuhub.testing.contract.variations import LOCAL_SECRET, VARIATIONS, Variation

__all__ = ["OPERATIONS", "SETTINGS", "check_refused", "is_lacking", "needs", "variations_of"]

Test = TypeVar("Test", bound=Callable[..., None])
Attempt = Callable[[], Any]

_MORE_SETTINGS: dict[Feature, Variation] = {
    Feature.GPU_COUNT: Variation({"gpu": ["L4:2", "A100-80GB:2"]}),
    Feature.GPU_FALLBACKS: Variation({"gpu": ["A100-80GB", "H100"]}),
    Feature.GPU_QUERY: Variation({"gpu": gpu(memory=">=40GB")}),
    Feature.SECRETS: Variation({"secrets": "CONTRACT_TOKEN"}),
    Feature.SECRETS_LOCAL: Variation({"secrets": Secret.from_local_env(LOCAL_SECRET)}),
    Feature.VOLUMES: Variation({"volumes": {"/contract/models": Volume("contract-models")}}),
    Feature.BUCKETS: Variation({"volumes": {"/contract/data": Bucket("s3://contract-data/part")}}),
    Feature.KIND_CLASS: Variation({}, function="Counter"),
    Feature.KIND_GENERATOR: Variation({}, function="count_to"),
    Feature.KIND_ASYNC: Variation({}, function="later"),
    Feature.KIND_WEB: Variation({}, function="site", is_web=True),
}

SETTINGS: tuple[Feature, ...] = tuple(
    feature for feature in Feature if feature in _MORE_SETTINGS or feature.value in VARIATIONS
)
"""Features that a decorator asks for."""


def variations_of(feature: Feature) -> list[Variation]:
    """Ways to ask for a feature in a decorator."""
    if feature in _MORE_SETTINGS:
        return [_MORE_SETTINGS[feature]]
    return list(VARIATIONS[feature.value])


def _on_endpoint(name: str, *args: Any, **kwargs: Any) -> Callable[[Bench], Attempt]:
    def prepare(bench: Bench) -> Attempt:
        endpoint = bench.deploy("echo")
        return lambda: bench.drive.call(endpoint, name, *args, **kwargs)

    return prepare


def _iterating(name: str, **kwargs: Any) -> Callable[[Bench], Attempt]:
    def prepare(bench: Bench) -> Attempt:
        endpoint = bench.deploy("shout")
        bench.invoke(endpoint, "a line")
        return lambda: bench.drive.take(1, endpoint, name, **kwargs)

    return prepare


def _streaming(bench: Bench) -> Attempt:
    endpoint = bench.deploy("echo")  # any function can be streamed: it gives one item
    return lambda: bench.drive.items(endpoint, "stream", 3)


def _rolling_back(bench: Bench) -> Attempt:
    bench.deploy("variable", env={"CONTRACT_PLACE": "first"})
    endpoint = bench.deploy("variable", env={"CONTRACT_PLACE": "second"})
    return lambda: bench.drive.call(endpoint, "rollback")


def _with_webhook(bench: Bench) -> Attempt:
    endpoint = bench.deploy("echo").with_options(webhook="http://127.0.0.1:9/contract")
    return lambda: bench.invoke(endpoint, 1)


def _connecting(bench: Bench) -> Attempt:
    address = f"{bench.module.INFO.schemes[0]}://{bench.deploy('echo').ref.address}"
    return lambda: bench.drive.call(Endpoint, "connect", address, workspace=bench.workspace)


OPERATIONS: dict[Feature, Callable[[Bench], Attempt]] = {
    Feature.INVOKE: _on_endpoint("invoke", 1),
    Feature.SPAWN: _on_endpoint("spawn", 1),
    Feature.STREAM: _streaming,
    Feature.WEBHOOK: _with_webhook,
    Feature.STATUS: _on_endpoint("status"),
    Feature.SCALE_LIVE: _on_endpoint("scale", max_workers=2),
    Feature.LOGS: _iterating("logs"),
    Feature.LOGS_FOLLOW: _iterating("logs", follow=True),
    Feature.VERSIONS: _on_endpoint("versions"),
    Feature.ROLLBACK: _rolling_back,
    Feature.WARM: _on_endpoint("warm"),
    Feature.DELETE: _on_endpoint("delete"),
    Feature.CONNECT: _connecting,
}
"""Features that an endpoint's method asks for: prepares, and gives the attempt."""


def needs(*features: Feature) -> Callable[[Test], Test]:
    """Mark a test as one of features that a provider may lack.

    Where the adapter declares one of them unsupported, the test checks instead that the attempt
    is refused before anything is sent. It is never skipped.
    """

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def gated(self: Any, bench: Bench, **fixtures: Any) -> None:
            for feature in features:
                if bench.lacks(feature):
                    check_refused(bench, feature)
                    return
            test(self, bench=bench, **fixtures)

        return cast("Test", gated)

    return decorate


def check_refused(bench: Bench, feature: Feature) -> None:
    """Check that a feature declared unsupported is refused, with its name, before sending."""
    attempts = [OPERATIONS[feature](bench)] if feature in OPERATIONS else _plans(bench, feature)
    for attempt in attempts:
        with bench.sends_nothing(), pytest.raises(UnsupportedSetting) as caught:
            attempt()
        assert any(is_lacking(bench, feature, field) for field in caught.value.fields), (
            f"{feature.value}: the refusal names {caught.value.fields}"
        )
        assert caught.value.next_step, "a refusal says what to do instead"


def is_lacking(bench: Bench, feature: Feature, field: str) -> bool:
    """Whether a refused field is the feature's, or another that the attempt cannot do without."""
    if bench.lacks(feature) and _head(field) == _head(feature.value):
        return True
    return field in {each.value for each in Feature if bench.lacks(each)}


def _head(path: str) -> str:
    return path.partition(".")[0]


def _plans(bench: Bench, feature: Feature) -> list[Attempt]:
    if feature not in SETTINGS:
        return []  # such as a confirmed cancel: the promise is less, and nothing is refused
    return [functools.partial(plan_of, bench, variation) for variation in variations_of(feature)]


def plan_of(bench: Bench, variation: Variation, *, base: bool = False) -> Any:
    """Plan one variation of a function, or its base."""
    settings = variation.base if base else variation.changed
    name = (base and variation.base_function) or variation.function
    if variation.is_web:
        return bench.web(name, **settings).plan()
    return bench.function(name, **settings).plan()
