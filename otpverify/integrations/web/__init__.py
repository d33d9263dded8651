"""What the integrations of all web frameworks share, without any framework: what a session keeps
of a challenge, what follows an outcome, what is said of an error to a person and to a program.

`ASSETS` is the folder of the style and the script of the pages, `otpverify.css` and
`otpverify.js`. Neither needs anything inline, so that a strict Content Security Policy holds."""

from pathlib import Path
from typing import Final

ASSETS: Final = Path(__file__).parent / "assets"
