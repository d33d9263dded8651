"""What the integrations of all web frameworks share, without any framework. A framework of your
own needs no more than this: `Flow` and `Recipient`, `run_sync` where it is synchronous,
`take_report`, and for pages the sentences and `preferred_language`.

`ASSETS` is the folder of the pages' style and script, `otpverify.css` and `otpverify.js`. Neither
needs anything inline, so that a strict Content Security Policy holds."""

from pathlib import Path
from typing import Final

from otpverify._sync import run_sync as run_sync  # the one part of the library's inside in use here

ASSETS: Final = Path(__file__).parent / "assets"
