"""Data centers, by name or by the beginning of their names. Pure.

Names: the list of ``dataCenterIds`` in RunPod's REST v1 document, read 2026-11-20; v2 has them in
``GET /v2/catalog/datacenters`` only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gpuhub.errors import SpecError

__all__ = ["DATA_CENTERS", "data_centers"]

DATA_CENTERS = (
    *("AP-JP-1", "CA-MTL-1", "CA-MTL-2", "CA-MTL-3"),
    *("EU-CZ-1", "EU-FR-1", "EU-NL-1", "EU-RO-1", "EU-SE-1"),
    *("EUR-IS-1", "EUR-IS-2", "EUR-IS-3", "EUR-NO-1", "OC-AU-1"),
    *("US-CA-2", "US-DE-1", "US-GA-1", "US-GA-2", "US-IL-1", "US-KS-2", "US-KS-3"),
    *("US-NC-1", "US-TX-1", "US-TX-3", "US-TX-4", "US-WA-1"),
)

_NAME = re.compile(r"[A-Z]{2,3}-[A-Z]{2,3}-\d{1,2}\Z")


def data_centers(regions: Iterable[str]) -> list[str]:
    """Give data centers: a whole name as it is, ``EU`` or ``US-TX`` as those known to begin so.

    Raises:
        SpecError: None is called so.
    """
    found: dict[str, None] = {}
    for region in regions:
        known = [name for name in DATA_CENTERS if name.startswith(f"{region}-")]
        if not (known or _NAME.match(region)):
            parts = sorted({name.partition("-")[0] for name in DATA_CENTERS})
            raise SpecError(
                f"regions: {region!r} is no data center of RunPod",
                next_step=f"name one, such as EU-RO-1, or a part: {', '.join(parts)}",
                provider="runpod",
            )
        found |= dict.fromkeys(known or [region])
    return list(found)
