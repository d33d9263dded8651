"""What a store is asked to put in place."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Opening:
    """What `open` puts in place.

    Attributes:
        digest: The code's digest; `None`: it follows with `place`.
        new: A new challenge; otherwise a further code on a live one.
        concealed: Whether there is an account must not show: its sends are counted apart from all
            others, a delivery report gives none of them back, and its status stays queued. A
            further code keeps what the challenge was; so it does with `decoy`.
        decoy: No code will ever match. A decoy is always concealed.
    """

    digest: bytes | None = field(repr=False)
    new: bool
    concealed: bool = False
    decoy: bool = False

    def __post_init__(self) -> None:
        if self.decoy:
            object.__setattr__(self, "concealed", True)
