"""All of gpuhub in one run: vector search over 320 sentences, deployed to the mock provider.

    python -m pip install uv && python -m uv run --no-default-groups examples/quickstart.py

No account, no network. The mock really runs the functions, on this machine, and plays the provider
around them: workers, cold starts, scaling, versions, the bill. Its time runs 20 times as fast.
"""

from __future__ import annotations

import math
import re
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import gpuhub

HERE = Path(__file__).parent
SIZE = 256
SCALING = gpuhub.Scaling(max_workers=4, idle_timeout=30)


@gpuhub.function(gpu="L4", scaling=SCALING)
def embed(texts: list[str]) -> list[list[float]]:
    """Turn each text into a vector of length 1; similar texts get similar vectors."""
    return [vector_of(text) for text in texts]


@gpuhub.function(gpu="L4", scaling=SCALING)
def search(query: str, top: int = 3) -> Iterator[str]:
    """Yield the sentences nearest to a query, the best first."""
    wanted = vector_of(query)
    yield from sorted(sentences(), key=lambda text: -similarity(wanted, vector_of(text)))[:top]


def vector_of(text: str) -> list[float]:
    """Count hashed words, word beginnings and letter triples."""
    words = [word for word in re.findall(r"[a-z]+", text.lower()) if len(word) > 3]
    triples = (f"<{word}>"[at : at + 3] for word in words for at in range(len(word)))
    vector = [0.0] * SIZE
    for feature, count in Counter([*words, *(word[:4] for word in words), *triples]).items():
        place = zlib.crc32(feature.encode())
        vector[place % SIZE] += math.copysign(1 + math.log(count), (place >> 16) % 2 - 0.5)
    length = math.hypot(*vector) or 1.0
    return [number / length for number in vector]


def similarity(left: list[float], right: list[float]) -> float:
    """Give the cosine of two vectors of length 1."""
    return sum(map(float.__mul__, left, right))


def sentences() -> list[str]:
    """Read the sentences; the files travel with the code, see gpuhub.toml."""
    return [
        line for path in sorted(HERE.glob("data/*.txt")) for line in path.read_text().splitlines()
    ]
