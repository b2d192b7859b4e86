"""A class: the model is loaded once for each worker. `python examples/transcriber.py`."""

from __future__ import annotations

from dataclasses import dataclass

import gpuhub


@dataclass
class Transcript:
    """What was heard.

    Attributes:
        text: The words.
        seconds: Length of the recording.
    """

    text: str
    seconds: float


@gpuhub.function(gpu="L40S", scaling=gpuhub.Scaling(max_workers=2), timeout=600)
class Transcribe:
    """Stands for a speech model: it spells what it was given in Morse code."""

    def setup(self) -> None:
        """Load the model: once for each worker, before its first call."""
        letters = "etianmsurwdkgohvf?l?pjbxcyzq"
        self.model: dict[str, str] = {}
        for number, letter in enumerate(letters, 2):
            self.model[f"{number:b}"[1:].replace("0", ".").replace("1", "-")] = letter

    def __call__(self, audio: bytes, seconds_per_sign: float = 0.25) -> Transcript:
        """Take one call."""
        signs = audio.decode("ascii").split()
        words = "".join(self.model.get(sign, " ") for sign in signs)
        return Transcript(words, len(audio) * seconds_per_sign)


def main() -> None:
    """Deploy, transcribe two recordings on one worker, delete."""
    # mypy takes no notice of class decorators (pyright does), hence the two comments.
    endpoint = Transcribe.deploy()  # type: ignore[attr-defined]
    try:
        for audio in (b".... . .-.. .-.. ---", b"--. .--. ..-"):
            print(Transcribe.remote(audio))  # type: ignore[attr-defined]
        print(f"workers: {endpoint.status().workers}")
    finally:
        endpoint.delete()


if __name__ == "__main__":
    main()
