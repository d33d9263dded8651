"""The code that the integrations of all web frameworks share. It imports no framework. To support
another framework, you need only this: `Flow` and `Recipient`, `run_sync` if it is synchronous,
`take_report`, and for pages the sentences and `page_language`.

`ASSETS` is the folder of the pages' style and script, `otpverify.css` and `otpverify.js`. Neither
needs anything inline, so that a strict Content Security Policy holds."""

from pathlib import Path
from typing import Final

from otpverify._sync import run_sync as run_sync  # the only internal of the library used here

ASSETS: Final = Path(__file__).parent / "assets"
