"""All of gpuhub in one run: vector search over 320 sentences, deployed to the mock provider.

    python -m pip install uv && python -m uv run --no-default-groups examples/quickstart.py

No account, no network: the mock runs the functions on this machine and plays the provider around
them, with workers, cold starts, versions and a bill. Its time runs 20 times as fast as yours.
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

DATA = Path(__file__).parent / "data"
SIZE = 256
SCALING = gpuhub.Scaling(max_workers=4, idle_timeout=30)


@gpuhub.function(gpu=["L4", "A100"], scaling=SCALING)
def embed(texts: list[str]) -> list[list[float]]:
    """Turn each text into a vector of length 1; similar texts get similar vectors."""
    return [vector_of(text) for text in texts]


@gpuhub.function(gpu=["L4", "A100"], scaling=SCALING, name="embed")
def embed_words(texts: list[str]) -> list[list[float]]:
    """Be the next version of `embed`: whole words only."""
    return [vector_of(text, triples=False) for text in texts]


@gpuhub.function(gpu="L4", scaling=SCALING)
def search(query: str, top: int = 3) -> Iterator[str]:
    """Yield the sentences nearest to a query, the best first."""
    wanted = vector_of(query)
    yield from sorted(sentences(), key=lambda text: -cosine(wanted, vector_of(text)))[:top]


def vector_of(text: str, *, triples: bool = True) -> list[float]:
    """Count hashed words, their beginnings and their letter triples."""
    words = [word for word in re.findall(r"[a-z]+", text.lower()) if len(word) > 3]
    features = Counter([*words, *(word[:4] for word in words)])
    if triples:
        features.update(f"<{word}>"[at : at + 3] for word in words for at in range(len(word)))
    vector = [0.0] * SIZE
    for feature, count in features.items():
        place = zlib.crc32(feature.encode())
        vector[place % SIZE] += math.copysign(1 + math.log(count), (place >> 16) % 2 - 0.5)
    length = math.hypot(*vector) or 1.0
    return [number / length for number in vector]


def cosine(left: list[float], right: list[float]) -> float:
    """Say how similar two vectors of length 1 are: 1 is the same direction."""
    return sum(map(float.__mul__, left, right))


def sentences() -> list[str]:
    """Read the sentences; the files travel with the code, see `include` in gpuhub.toml."""
    files = sorted(DATA.glob("*.txt"))
    return [line for file in files for line in file.read_text("utf-8").splitlines()]


def main() -> None:
    """Take the functions through their life."""
    from rich import print  # noqa: A004 - for its colours; the container needs no rich

    queries = DATA.with_name("queries.txt").read_text("utf-8").splitlines()
    texts = sentences()

    print("\n[b cyan]1 plan[/]: what becomes of each setting; nothing is sent")
    plan = embed.plan()
    for name in ("gpu", "scaling.max_workers", "scaling.idle_timeout", "timeout", "retries"):
        row = plan.row(name)
        print(f"  {name:22}{row.fidelity:16}{row.native}: {row.reason or row.value}")

    print("\n[b cyan]2 deploy[/]: ready for calls, and nothing is billed yet")
    search.deploy()
    endpoint = embed.deploy()
    print(f"  {endpoint.name} version {endpoint.version}, {workers_of(endpoint.status())}")

    print("\n[b cyan]3 spawn and call[/]: the first call waits for a cold start")
    call = embed.spawn(queries)
    print(f"  {call.id} is {call.state().phase}")
    print(f"  {finished(call)}")
    vectors = embed.remote(queries)
    print(f"  local result == remote result: [b]{embed(queries) == vectors == call.result()}[/]")

    print(f"\n[b cyan]4 map[/]: a call for each of {len(texts)} sentences; results in order")
    index = list(embed.map([[text] for text in texts], concurrency=32, progress=True))
    for query, vector in zip(queries, vectors, strict=True):
        found = [(cosine(vector, each), text) for [each], text in zip(index, texts, strict=True)]
        print(f"  {query}\n    [dim]{max(found)[0]:.2f}[/]  {max(found)[1]}")

    print("\n[b cyan]5 stream[/]: birds that build nests, hit by hit")
    for hit in search.stream("birds that build nests"):
        print(f"  {hit}")

    print("\n[b cyan]6 scale to zero and wake[/]: 30 s without a call")
    print(f"  now    {workers_of(endpoint.status())}")
    while (counts := endpoint.status().workers) and counts.total:
        time.sleep(0.05)
    print(f"  later  {workers_of(endpoint.status())}")
    print(f"  called {finished(embed.spawn(['anybody there?']))}")

    print("\n[b cyan]7 new version, roll back[/]")
    before = endpoint.version
    embed_words.deploy()
    print(f"  version {endpoint.version}: same vectors: {embed.remote(queries) == vectors}")
    endpoint.rollback(before)
    print(f"  version {endpoint.version}: same vectors: {embed.remote(queries) == vectors}")

    print("\n[b cyan]8 delete[/], and the bill")
    endpoint.delete()
    search.endpoint().delete()
    print(
        f'  {bill(plan)}\n\nAnother provider? Change one line of gpuhub.toml: provider = "mock"\n'
    )


def finished(call: gpuhub.Call[list[list[float]]]) -> str:
    """Wait for a call and say how long it was queued."""
    started = time.monotonic()
    call.result()
    real = time.monotonic() - started
    return f"cold start {call.state().queued_s:.1f} s of the mock's time, {real:.1f} s of yours"


def workers_of(status: gpuhub.EndpointStatus) -> str:
    """Give the number of workers."""
    counts = status.workers
    return f"workers: {counts.total if counts else 'unknown'}"


def bill(plan: gpuhub.Plan) -> str:
    """Read the mock's meter; at a real provider this is its own bill."""
    seconds = embed.workspace.session().adapter.cloud.billed_seconds  # type: ignore[attr-defined]
    price = plan.cost.worker_usd_per_hour or 0.0
    cost = seconds.total / 3600 * price
    return f"{len(seconds)} workers, {seconds.total:.0f} s billed: {cost:.3f} made-up dollars"


if __name__ == "__main__":
    main()
