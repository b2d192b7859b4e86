"""What RunPod rents out: cards by serverless pool, CPU flavours, data centers.

Ids, memory and prices as documented in August 2026; the service's own catalog changes, and so
may a test's: the tables of an emulator are its own copies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Catalog", "Cpu", "DataCenter", "Gpu", "Stock"]

Stock = Literal["NONE", "LOW", "MEDIUM", "HIGH"]


@dataclass(slots=True)
class Gpu:
    """One GPU type.

    Attributes:
        id: Type id, as in ``gpu.excludedTypes``.
        pool: Serverless pool; ``None``: in none.
        memory: GB.
        per_second: Serverless list price of one, USD.
        stock: How many there are.
    """

    id: str
    pool: str | None
    memory: int
    per_second: float = 0.0
    stock: Stock = "HIGH"

    def shown(self, *, with_stock: bool) -> dict[str, Any]:
        """Give the catalog's entry."""
        per_hour = round(self.per_second * 3600, 4)
        price: dict[str, float] = {"secure": per_hour, "community": per_hour}
        if self.pool is not None:
            price["serverless"] = per_hour
        return {
            "id": self.id,
            "name": self.id.removeprefix("NVIDIA ").removeprefix("GeForce "),
            "pool": self.pool,
            "manufacturer": "NVIDIA",
            "memory": self.memory,
            "secure": True,
            "community": True,
            "price": price,
            "maxCount": {"secure": 8, "community": 4},
        } | ({"availability": self.stock} if with_stock else {})


@dataclass(frozen=True, slots=True)
class Cpu:
    """One CPU flavour: ``ram`` GB and ``price`` USD an hour for each vCPU."""

    id: str
    name: str
    group: str
    ram: float
    price: float
    most: int = 32

    def shown(self) -> dict[str, Any]:
        """Give the catalog's entry."""
        return {
            "id": self.id,
            "name": self.name,
            "group": self.group,
            "vcpu": {"min": 2, "max": self.most},
            "ramGbPerVcpu": self.ram,
            "price": {"securePerVcpu": self.price, "serverlessPerVcpu": self.price},
        }


@dataclass(frozen=True, slots=True)
class DataCenter:
    """One data center."""

    id: str
    region: str
    volumes: tuple[str, ...] = ("STANDARD",)

    def shown(self) -> dict[str, Any]:
        """Give the catalog's entry."""
        return {
            "id": self.id,
            "name": self.id.replace("-", " "),
            "region": self.region,
            "networkVolumeTypes": list(self.volumes),
            "compliance": [],
            "globalNetwork": True,
        }


_POOLS: dict[str, tuple[float, tuple[tuple[str, int], ...]]] = {
    "AMPERE_16": (
        0.00016,
        (
            ("NVIDIA RTX A4000", 16),
            ("NVIDIA RTX A4500", 20),
            ("NVIDIA RTX 4000 Ada Generation", 20),
            ("NVIDIA RTX 2000 Ada Generation", 16),
        ),
    ),
    "AMPERE_24": (
        0.00019,
        (("NVIDIA L4", 24), ("NVIDIA RTX A5000", 24), ("NVIDIA GeForce RTX 3090", 24)),
    ),
    "ADA_24": (0.00031, (("NVIDIA GeForce RTX 4090", 24),)),
    "ADA_32_PRO": (0.00044, (("NVIDIA GeForce RTX 5090", 32),)),  # the price is a guess
    "AMPERE_48": (0.00034, (("NVIDIA A40", 48), ("NVIDIA RTX A6000", 48))),
    "ADA_48_PRO": (
        0.00053,
        (("NVIDIA L40", 48), ("NVIDIA L40S", 48), ("NVIDIA RTX 6000 Ada Generation", 48)),
    ),
    "AMPERE_80": (0.00076, (("NVIDIA A100 80GB PCIe", 80), ("NVIDIA A100-SXM4-80GB", 80))),
    "ADA_80_PRO": (
        0.00116,
        (("NVIDIA H100 PCIe", 80), ("NVIDIA H100 80GB HBM3", 80), ("NVIDIA H100 NVL", 94)),
    ),
    "BLACKWELL_96": (
        0.00111,
        (
            ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 96),
            ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", 96),
            ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", 96),
        ),
    ),
    "HOPPER_141": (0.00155, (("NVIDIA H200", 141),)),
    "BLACKWELL_180": (0.00240, (("NVIDIA B200", 180),)),
}
_OTHERS = (
    ("NVIDIA A30", 24),
    ("NVIDIA B300", 288),
    ("NVIDIA GeForce RTX 3070", 8),
    ("NVIDIA GeForce RTX 3080", 10),
    ("NVIDIA GeForce RTX 4070 Ti", 12),
    ("NVIDIA GeForce RTX 4080", 16),
    ("NVIDIA GeForce RTX 5080", 16),
    ("Tesla V100-PCIE-16GB", 16),
)


def _gpus() -> list[Gpu]:
    pooled = [
        Gpu(name, pool, memory, price)
        for pool, (price, cards) in _POOLS.items()
        for name, memory in cards
    ]
    return pooled + [Gpu(name, None, memory) for name, memory in _OTHERS]


def _cpus() -> list[Cpu]:
    return [
        Cpu("cpu3c", "Compute-Optimized", "Gen 3", 2.0, 0.03),
        Cpu("cpu3g", "General Purpose", "Gen 3", 4.0, 0.04),
        Cpu("cpu5c", "Compute-Optimized", "Gen 5", 2.0, 0.035),
        Cpu("cpu5g", "General Purpose", "Gen 5", 4.0, 0.045),
    ]


def _data_centers() -> list[DataCenter]:
    american: tuple[str, ...] = (
        "US-CA-2",
        "US-GA-1",
        "US-GA-2",
        "US-IL-1",
        "US-KS-2",
        "US-KS-3",
        "US-NC-1",
    )
    american += ("US-TX-1", "US-TX-3", "US-TX-4", "US-WA-1", "CA-MTL-1", "CA-MTL-3")
    european: tuple[str, ...] = (
        "EU-CZ-1",
        "EU-FR-1",
        "EU-NL-1",
        "EU-RO-1",
        "EU-SE-1",
        "EUR-IS-1",
        "EUR-IS-2",
    )
    european += ("EUR-NO-1",)
    regions = {"NORTH_AMERICA": american, "EUROPE": european, "ASIA": ("AP-JP-1",)}
    return [DataCenter(name, region) for region, names in regions.items() for name in names]


@dataclass(slots=True)
class Catalog:
    """Everything there is to rent."""

    gpus: list[Gpu] = field(default_factory=_gpus)
    cpus: list[Cpu] = field(default_factory=_cpus)
    data_centers: list[DataCenter] = field(default_factory=_data_centers)

    def pool(self, pools: Iterable[str], excluded: Iterable[str] = ()) -> list[Gpu]:
        """Give the types of some pools but for those excluded."""
        wanted, unwanted = set(pools), {each.strip() for each in excluded}
        return [each for each in self.gpus if each.pool in wanted and each.id not in unwanted]

    def pools(self) -> set[str]:
        """Give the ids of all pools."""
        return {each.pool for each in self.gpus if each.pool is not None}

    def cpu(self, name: str) -> Cpu | None:
        """Give a CPU flavour."""
        return next((each for each in self.cpus if each.id == name), None)

    def set_stock(self, name: str, stock: Stock) -> None:
        """Change how many there are of a type, or of all types of a pool.

        Raises:
            KeyError: There is no such type or pool.
        """
        found = [each for each in self.gpus if name in (each.id, each.pool)]
        if not found:
            raise KeyError(name)
        for each in found:
            each.stock = stock
