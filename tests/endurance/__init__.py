"""Load and endurance: `make endurance`. Processes make real calls on real servers while parts of
them fail; each writes down what it asked and what it was answered, and the judge counts every
promise afterwards.

`people` is the traffic, `worker` a process of it, `gateway` the sandbox with faults in front,
`deployments` the servers, `faults` what breaks, `ledger` what is written down, `judge` what must
hold, `run` the program.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
