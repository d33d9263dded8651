"""Coverage-guided fuzzing: every function that reads what a stranger wrote.

`targets` has the table. A target takes bytes, and checks what must hold for all of them. `run`
fuzzes with atheris, which need not be installed to call a target.
"""

import sys
from pathlib import Path

_HELPERS = str(Path(__file__).resolve().parent.parent / "helpers")
if _HELPERS not in sys.path:  # where it is not pytest that runs
    sys.path.append(_HELPERS)
