"""Models that Replicate hosts: images to files, words as they come, errors before anything is sent.

    python examples/replicate_models.py "an astronaut on a horse"

Without REPLICATE_API_TOKEN nothing is sent. With it this costs about a cent.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import gpuhub
from gpuhub_replicate import output_files

IMAGES = "replicate://black-forest-labs/flux-schnell"
WORDS = "replicate://meta/meta-llama-3-8b-instruct"


def draw(prompt: str, folder: Path) -> list[Path]:
    """Have a picture drawn; Replicate keeps it for an hour, so it is saved at once."""
    model = gpuhub.Endpoint.connect(IMAGES).with_options(timeout=120)
    folder.mkdir(exist_ok=True)
    return [file.save(folder) for file in output_files(model.invoke(prompt=prompt))]


def describe(prompt: str) -> None:
    """Print words as the model gives them."""
    for word in gpuhub.Endpoint.connect(WORDS).stream(prompt=f"Describe {prompt} in one sentence."):
        print(word, end="", flush=True)
    print()


def misspell() -> None:
    """Ask for something that the model does not take: it is refused here, by name."""
    try:
        gpuhub.Endpoint.connect(IMAGES).invoke(promt="a typo")
    except gpuhub.SpecError as error:
        print(error)


def main() -> None:
    """Draw, describe and misspell."""
    if "REPLICATE_API_TOKEN" not in os.environ:
        print("set REPLICATE_API_TOKEN to call Replicate's models")
        return
    prompt = " ".join(sys.argv[1:]) or "an astronaut on a horse"
    with gpuhub.Workspace(provider="replicate", app="example"):
        misspell()
        describe(prompt)
        for path in draw(prompt, Path("drawn")):
            print(path)


if __name__ == "__main__":
    main()
