"""What is wrong with a reader's files, gathered and told at once, not one thing a run."""

from __future__ import annotations

import warnings

SHOWN = 25  # problems in one message


class Problems:
    """What is wrong, gathered, to be told in one error or one warning."""

    def __init__(self, about: str) -> None:
        self.about = about
        self.found: list[tuple[str, str | None]] = []

    def add(self, text: str, picture: str | None = None) -> None:
        """Note a problem; with one of no single picture nothing can be done without it."""
        self.found.append((text, picture))

    def settle(self, skip: bool = False) -> set[str]:
        """Raise an error that tells all, or warn and return the pictures to leave out."""
        if not self.found:
            return set()
        more = len(self.found) - SHOWN
        lines = [text for text, _ in self.found[:SHOWN]] + ([f"and {more} more"] if more > 0 else [])
        count = "1 problem" if len(self.found) == 1 else f"{len(self.found)} problems"
        message = f"{self.about}: {count}\n" + "\n".join(f"  {line}" for line in lines)
        pictures = {picture for _, picture in self.found if picture is not None}
        if not skip or any(picture is None for _, picture in self.found):
            raise ValueError(
                message + ("" if skip else "\nskip=True leaves these pictures out" * bool(pictures))
            )
        warnings.warn(f"left out {len(pictures)} of the pictures. {message}", stacklevel=3)
        return pictures
