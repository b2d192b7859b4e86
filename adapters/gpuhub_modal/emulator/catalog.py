"""What Modal documents to rent, and the ranges it documents.

Read 2026-11 from the guide's pages on GPUs, time-outs, cold starts and region selection.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CLOUDS", "GPUS", "MOST_TIMEOUT_S", "REGIONS", "WINDOW_S"]

GPUS: Mapping[str, int] = {
    "T4": 8,
    "L4": 8,
    "A10": 4,
    "A10G": 4,
    "L40S": 8,
    "A100": 8,
    "A100-40GB": 8,
    "A100-80GB": 8,
    "RTX-PRO-6000": 8,
    "H100": 8,
    "H100!": 8,
    "H200": 8,
    "B200": 8,
    "B200+": 8,
    "ANY": 8,
}
"""GPU -> the most of them in one container. ``ANY`` stands in lists of fallbacks."""

MOST_TIMEOUT_S = 86_400
WINDOW_S = (2, 3_600)

CLOUDS = frozenset({"aws", "gcp", "oci", "auto"})

_WIDE = frozenset({"us", "eu", "ap", "uk", "ca", "me", "sa", "af", "mx", "il", "au", "jp"})
_CLOUD_PREFIXES = ("us-", "eu-", "ap-", "ca-", "uk-", "me-", "sa-", "af-", "asia-", "europe-")
_NORTH_AMERICA = ("northamerica-", "southamerica-", "australia-", "mx-", "il-", "jp-", "au-")


class _Regions:
    """Broad regions such as ``us`` and ``us-east``, and names of the clouds' own regions."""

    def __contains__(self, region: object) -> bool:
        name = str(region)
        return name in _WIDE or name.startswith((*_CLOUD_PREFIXES, *_NORTH_AMERICA))


REGIONS = _Regions()
