"""What there is to rent. Ids and names have Baseten's form; sizes and prices are made up.

They are of the right order; what Baseten really asks says ``GET /v1/instance_type_prices``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpuhub_baseten.emulator.config import Resources
from gpuhub_baseten.emulator.problems import invalid

__all__ = ["INSTANCE_TYPES", "InstanceType", "by_id", "choose"]


@dataclass(frozen=True, slots=True)
class InstanceType:
    """One kind of machine.

    Attributes:
        id: Such as ``L4:4x16``.
        cpus: Number of vCPUs.
        memory: GiB.
        gpu: Card; ``None`` without one.
        gpus: Number of cards.
        gpu_memory: MiB of one card.
        price: USD per minute.
    """

    id: str
    cpus: int
    memory: int
    gpu: str | None
    gpus: int
    gpu_memory: int | None
    price: float

    def shown(self, *, with_price: bool = False) -> dict[str, Any]:
        """Give ``InstanceTypeV1``, or ``InstanceTypeWithPriceV1``."""
        body: dict[str, Any] = {
            "id": self.id,
            "name": self.id,
            "memory_limit_mib": self.memory * 1024,
            "millicpu_limit": self.cpus * 1000,
            "gpu_count": self.gpus,
            "gpu_type": self.gpu,
            "gpu_memory_limit_mib": self.gpu_memory,
        }
        return {"instance_type": body, "price": self.price} if with_price else body


def _with_cards(
    gpu: str, cpus: int, memory: int, mib: int, price: float, counts: tuple[int, ...]
) -> list[InstanceType]:
    found = []
    for count in counts:
        size = f"{cpus * count}x{memory * count}"
        name = f"{gpu}:{size}" if count == 1 else f"{gpu}:{count}:{size}"
        found.append(
            InstanceType(name, cpus * count, memory * count, gpu, count, mib, price * count)
        )
    return found


_CPUS = ((1, 2), (1, 4), (2, 8), (4, 16), (8, 32), (16, 64))
_CPU_PRICES = (0.00058, 0.00086, 0.00173, 0.00346, 0.00691, 0.01382)

INSTANCE_TYPES: tuple[InstanceType, ...] = (
    *(
        InstanceType(f"{cpus}x{memory}", cpus, memory, None, 0, None, price)
        for (cpus, memory), price in zip(_CPUS, _CPU_PRICES, strict=True)
    ),
    *_with_cards("T4", 4, 16, 16_384, 0.01052, (1, 2, 4)),
    *_with_cards("L4", 4, 16, 24_576, 0.01414, (1, 2, 4)),
    *_with_cards("A10G", 4, 16, 24_576, 0.02012, (1, 2, 4, 8)),
    *_with_cards("V100", 8, 61, 16_384, 0.0102, (1,)),
    *_with_cards("L40S", 8, 64, 49_152, 0.0333, (1, 2, 4)),
    *_with_cards("A100_40GB", 12, 85, 40_960, 0.0526, (1, 2)),
    *_with_cards("A100", 12, 144, 81_920, 0.06667, (1, 2, 4, 8)),
    *_with_cards("H100_40GB", 13, 117, 40_960, 0.0625, (1,)),
    *_with_cards("H100", 26, 234, 81_920, 0.10833, (1, 2, 4, 8)),
    *_with_cards("H200", 26, 234, 144_384, 0.13, (1, 2, 4, 8)),
    *_with_cards("B200", 26, 234, 184_320, 0.16633, (1, 2, 4, 8)),
    *_with_cards("B300", 26, 234, 294_912, 0.21, (1, 2, 4, 8)),
    *_with_cards("GB300", 26, 234, 294_912, 0.23, (1, 2, 4)),
    *_with_cards("RTX_PRO_6000", 16, 128, 98_304, 0.06, (1, 2)),
)


def by_id(name: str) -> InstanceType:
    """Give an instance type.

    Raises:
        Problem: 400, there is none of this id.
    """
    for each in INSTANCE_TYPES:
        if each.id == name:
            return each
    raise invalid(f"instance type {name} does not exist")


def choose(resources: Resources) -> InstanceType:
    """Give the cheapest instance type that has what is asked for.

    Raises:
        Problem: 400, there is none.
    """
    if resources.instance_type:
        return by_id(resources.instance_type)
    gpu, count = resources.gpus
    fitting = [
        each
        for each in INSTANCE_TYPES
        if each.gpu == gpu
        and each.gpus == count
        and each.cpus * 1000 >= resources.millicpus
        and each.memory * 1024 >= resources.mebibytes
    ]
    if not fitting:
        raise invalid(
            f"no instance type has {resources.accelerator or 'no accelerator'}, "
            f"{resources.cpu} CPUs and {resources.memory} of memory"
        )
    return min(fitting, key=lambda each: each.price)
