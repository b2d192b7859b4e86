"""Which GPU a function asks for: names, counts, memory queries, and what a provider makes of them.

A choice is a :class:`GpuRequest` (``"A100-80GB"``, ``"H100:2"``, the bare family ``"A100"``) or a
:class:`GpuQuery` (``gpu(memory=">=40GB")``). Both print as text that :func:`parse_gpu` reads back.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from typing_extensions import override

from gpuhub._gpu_catalogue import (
    FAMILIES,
    LIST_THEM,
    Gpu,
    catalogue,
    find_gpu,
    lookup,
    unknown_gpu,
)
from gpuhub.errors import SpecError, UnknownGpu

__all__ = [
    "MAX_COUNT",
    "Gpu",
    "GpuChoice",
    "GpuQuery",
    "GpuRequest",
    "Resolution",
    "candidates",
    "catalogue",
    "find_gpu",
    "gpu",
    "parse_gpu",
    "parse_gpus",
    "resolve",
    "same_count",
]

T = TypeVar("T")

MAX_COUNT = 16
"""Most GPUs one worker can ask for."""

_LOWER: dict[str, Callable[[int, int], bool]] = {">=": operator.ge, ">": operator.gt}
_UPPER: dict[str, Callable[[int, int], bool]] = {"<=": operator.le, "<": operator.lt}
_OPERATORS = {**_LOWER, **_UPPER, "==": operator.eq}
# Patterns are text: compiling them at import would cost more than the rest of the module.
_BOUND = r"(?i)(>=|<=|==|>|<)\s*([0-9]{1,4})\s*(?:GB|GiB)"
_QUERY = r"(?is)memory\s*(?P<memory>[<>=].*)"
_COUNT = r"[1-9][0-9]?"


@dataclass(frozen=True, slots=True)
class GpuRequest:
    """One card by name, or any card of a bare family.

    Args:
        name: Canonical name, bare family, or any spelling of either; kept in canonical form.
        count: GPUs a worker gets, 1 to 16. Default 1.

    Raises:
        UnknownGpu: The name is not in the catalogue, or the count is out of range.
    """

    name: str
    count: int = 1

    def __post_init__(self) -> None:
        """Bring the name to its canonical form."""
        canonical = lookup(self.name) if isinstance(self.name, str) else None
        if canonical is None:
            raise _unknown(self.name)
        object.__setattr__(self, "name", canonical)
        _check_count(self.count, f"{canonical}:{self.count}")

    @property
    def exact(self) -> bool:
        """Whether the name pins one card; ``False`` for ``A100``, ``V100`` and ``H100``."""
        return self.name not in FAMILIES

    @property
    def memory_gb(self) -> tuple[int, ...]:
        """Memory sizes in GB of the cards that satisfy the request, ascending."""
        return _memory_sizes(self)

    @override
    def __str__(self) -> str:
        """Give ``"H100"``, or ``"H100:2"`` for more than one."""
        return f"{self.name}{_suffix(self.count)}"


@dataclass(frozen=True, slots=True)
class GpuQuery:
    """Any card whose memory satisfies a constraint.

    Args:
        memory: ``">=40GB"``, ``">24GB"``, ``"==80GB"``, ``"<=48GB"``, ``"<48GB"``, or a range such
            as ``">=40GB,<=80GB"``. Whole GB of one GPU, compared with the nominal size of the
            card, so that GiB means the same. Kept in canonical form.
        count: GPUs a worker gets, 1 to 16. Default 1.

    Raises:
        SpecError: The constraint is malformed, or the count is out of range.
        UnknownGpu: No card in the catalogue satisfies the constraint.
    """

    memory: str
    count: int = 1

    def __post_init__(self) -> None:
        """Bring the constraint to its canonical form."""
        bounds = _parse_bounds(self.memory)
        canonical = ",".join(f"{sign}{size}GB" for sign, size in bounds)
        object.__setattr__(self, "memory", canonical)
        _check_count(self.count, str(self))
        if not any(map(self.matches, catalogue())):
            sizes = sorted({card.memory_gb for card in catalogue()})
            raise UnknownGpu(
                f"gpu: no card has memory {canonical}; cards have {_listed(sizes)} GB",
                next_step="change the bound, or ask for several cards with `count`",
            )

    @property
    def memory_gb(self) -> tuple[int, ...]:
        """Memory sizes in GB of the cards that satisfy the query, ascending."""
        return _memory_sizes(self)

    def matches(self, gpu: Gpu) -> bool:
        """Whether the memory of one such card satisfies the constraint."""
        bounds = _parse_bounds(self.memory)
        return all(_OPERATORS[sign](gpu.memory_gb, size) for sign, size in bounds)

    @override
    def __str__(self) -> str:
        """Give ``"memory>=40GB"``, or ``"memory>=40GB:2"`` for more than one GPU."""
        return f"memory{self.memory}{_suffix(self.count)}"


GpuChoice: TypeAlias = GpuRequest | GpuQuery
"""What one entry of a function's ``gpu`` may be."""


@dataclass(frozen=True, slots=True)
class Resolution(Generic[T]):
    """What one choice comes to on one provider.

    Attributes:
        choice: What the function asked for.
        gpu: The card it gets.
        native: The provider's own value for that card.
        count: GPUs a worker gets.
        exact: ``False`` when a bare family or a query was narrowed to this card.
    """

    choice: GpuChoice
    gpu: Gpu
    native: T
    count: int
    exact: bool


def gpu(memory: str, count: int = 1) -> GpuQuery:
    """Ask for any card with enough memory: ``gpu(memory=">=40GB")``; see :class:`GpuQuery`."""
    return GpuQuery(memory, count)


def parse_gpu(text: str) -> GpuChoice:
    """Read one choice: ``"A100-80GB"``, ``"a100"``, ``"H100:2"``, ``"memory>=40GB:2"``.

    Raises:
        UnknownGpu: The name is not in the catalogue, or the count is not 1 to 16.
        SpecError: Not text, or a malformed memory constraint.
    """
    if not isinstance(text, str):
        raise _wrong_type(text)
    name, colon, tail = (part.strip() for part in text.partition(":"))
    if not name:
        raise UnknownGpu(f"gpu: {text!r} names no GPU", next_step=f"{LIST_THEM}; CPU is gpu=None")
    if colon and not re.fullmatch(_COUNT, tail):
        raise _bad_count(text)
    count = int(tail) if colon else 1
    _check_count(count, text)
    if query := re.fullmatch(_QUERY, name):
        return GpuQuery(query["memory"], count)
    return GpuRequest(name, count)


def parse_gpus(
    value: str | GpuChoice | Sequence[str | GpuChoice] | None,
) -> tuple[GpuChoice, ...]:
    """Read the ``gpu`` field of a function: one choice, or ordered fallbacks.

    Returns:
        The choices in order; none, which means CPU only, for ``None`` and for an empty list.

    Raises:
        UnknownGpu: A name is not in the catalogue.
        SpecError: The value is of another type, or repeats a choice.
    """
    if value is None:
        return ()
    if isinstance(value, str | GpuRequest | GpuQuery):
        return (_parsed(value),)
    if not isinstance(value, Sequence) or isinstance(value, bytes | bytearray | memoryview):
        raise _wrong_type(value)
    choices = tuple(_parsed(entry) for entry in value)
    for index, choice in enumerate(choices):
        if choice in choices[:index]:
            raise SpecError(
                f"gpu: {str(choice)!r} is listed twice", next_step="keep each choice once"
            )
    return choices


def candidates(choice: GpuChoice) -> tuple[Gpu, ...]:
    """Give the cards that satisfy a choice.

    Returns:
        At least one card: for a query smallest memory first, for a family in catalogue order.
    """
    if isinstance(choice, GpuQuery):
        fitting = filter(choice.matches, catalogue())
        return tuple(sorted(fitting, key=lambda card: card.memory_gb))
    return FAMILIES.get(choice.name) or (find_gpu(choice.name),)


def resolve(
    choices: Iterable[GpuChoice],
    offered: Mapping[str, T],
    *,
    provider: str,
    families: Mapping[str, str] | None = None,
    skip_missing: bool = False,
) -> list[Resolution[T]]:
    """Narrow each choice to one card that a provider has.

    Args:
        choices: What the function asks for, in order.
        offered: Canonical name -> the provider's own value. Its order is the adapter's preference
            (say, cheapest first) and decides which card a query gets.
        provider: Name of the provider, for the error.
        families: Bare family -> canonical name of the card it means on this provider. A family
            without an entry gets the first offered card in catalogue order.
        skip_missing: Leave out choices the provider does not have, as long as one remains: for
            ordered fallbacks. By default each missing choice is an error.

    Returns:
        One row a choice, in order.

    Raises:
        UnknownGpu: The provider has no card for a choice.
        ValueError: A table of the adapter names a card that is not in the catalogue.
    """
    _check_tables(offered, families or {})
    found: list[Resolution[T]] = []
    missing: list[GpuChoice] = []
    for choice in choices:
        card = _pick(choice, offered, families or {})
        if card is None:
            missing.append(choice)
            continue
        exact = isinstance(choice, GpuRequest) and choice.name == card.name
        found.append(Resolution(choice, card, offered[card.name], choice.count, exact))
    if missing and not (skip_missing and found):
        raise _not_offered(missing[0], offered, provider)
    return found


def same_count(found: Sequence[Resolution[Any]], provider: str) -> int:
    """Give the number of GPUs of all choices, for a provider that takes one number.

    Args:
        found: What :func:`resolve` gave, at least one.
        provider: The provider's name as it writes it, such as ``"RunPod"``.

    Raises:
        SpecError: The choices ask for different counts.
    """
    counts = sorted({each.count for each in found})
    if len(counts) > 1:
        raise SpecError(
            f"gpu: {provider} gives all workers the same number of GPUs (got {counts})",
            next_step="use one count for all choices, as in ['H100:2', 'A100-80GB:2']",
            provider=provider.lower(),
        )
    return counts[0]


def _pick(
    choice: GpuChoice, offered: Mapping[str, object], families: Mapping[str, str]
) -> Gpu | None:
    cards = {card.name: card for card in candidates(choice)}
    if isinstance(choice, GpuQuery):
        preference = [*offered]
    else:
        preference = [families.get(choice.name, choice.name), *cards]
    return next((cards[name] for name in preference if name in cards and name in offered), None)


def _check_tables(offered: Mapping[str, object], families: Mapping[str, str]) -> None:
    known = {card.name for card in catalogue()}
    for name in offered:
        if name not in known:
            raise ValueError(f"offered: {name!r} is not a canonical GPU name")
    for family, name in families.items():
        if name not in {card.name for card in FAMILIES.get(family, ())}:
            raise ValueError(f"families: {name!r} is not a card of the family {family!r}")


def _not_offered(choice: GpuChoice, offered: Iterable[str], provider: str) -> UnknownGpu:
    wanted = choice.memory_gb[0]
    cards = sorted(map(find_gpu, offered), key=lambda card: abs(card.memory_gb - wanted))
    near = ", ".join(f"{card.name} ({card.memory_gb} GB)" for card in cards[:3])
    has = f"; nearest by memory: {near}" if near else ", which has no GPU at all"
    return UnknownGpu(
        f"gpu: {str(choice)!r} ({_listed(choice.memory_gb)} GB) is not offered by {provider}{has}",
        next_step=f"choose a card that {provider} has; {LIST_THEM}",
        provider=provider.lower(),
    )


@functools.lru_cache(maxsize=64)
def _read_bounds(text: str) -> tuple[tuple[str, int], ...] | None:
    parts = [re.fullmatch(_BOUND, part.strip()) for part in text.split(",")]
    bounds = [(part[1], int(part[2])) for part in parts if part]
    lower = [bound for bound in bounds if bound[0] in _LOWER]
    upper = [bound for bound in bounds if bound[0] in _UPPER]
    is_range = len(lower) == len(upper) == 1
    if len(bounds) != len(parts) or not (len(bounds) == 1 or (len(bounds) == 2 and is_range)):
        return None
    return tuple(lower + upper) or tuple(bounds)


def _parse_bounds(memory: Any) -> tuple[tuple[str, int], ...]:
    bounds = _read_bounds(memory) if isinstance(memory, str) else None
    if bounds is None:
        raise SpecError(
            f"gpu: memory {memory!r} is not a constraint: one of >=, >, ==, <=, < and whole GB,"
            " or a lower and an upper bound with a comma between",
            next_step='write it as gpuhub.gpu(memory=">=40GB") or ">=40GB,<=80GB"',
        )
    return bounds


def _parsed(entry: Any) -> GpuChoice:
    return entry if isinstance(entry, GpuRequest | GpuQuery) else parse_gpu(entry)


def _memory_sizes(choice: GpuChoice) -> tuple[int, ...]:
    return tuple(sorted({card.memory_gb for card in candidates(choice)}))


def _suffix(count: int) -> str:
    return "" if count == 1 else f":{count}"


def _listed(sizes: Iterable[int]) -> str:
    *first, last = map(str, sizes)
    return f"{', '.join(first)} or {last}" if first else last


def _check_count(count: Any, shown: str) -> None:
    if type(count) is not int or not 1 <= count <= MAX_COUNT:
        raise _bad_count(shown)


def _bad_count(shown: str) -> UnknownGpu:
    return UnknownGpu(
        f"gpu: {shown!r}: the count must be a whole number from 1 to {MAX_COUNT}",
        next_step='write the count after a colon, as in "H100:2"',
    )


def _wrong_type(value: Any) -> SpecError:
    return SpecError(
        f"gpu: {type(value).__name__} {value!r} is not a GPU choice",
        next_step='give a name such as "H100:2", gpuhub.gpu(memory=…), a list of these, or None',
    )


def _unknown(name: Any) -> SpecError:
    if not isinstance(name, str):
        return _wrong_type(name)
    error = unknown_gpu(name)
    if name.strip().casefold() == "any":
        error.next_step = 'say what it needs: gpuhub.gpu(memory=">=24GB")'
    elif re.match(r"[<>=]", name.strip()):
        error.next_step = f"write a memory constraint as gpuhub.gpu(memory={name!r})"
    elif "," in name:
        error.next_step = 'write fallbacks as a list: gpu=["H100", "A100-80GB"]'
    return error
