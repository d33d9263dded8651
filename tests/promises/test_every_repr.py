"""Promise 7 over every class of the package: no instance shows a number, a code, a proof or a
secret by its `repr`, `str` or `format`, and no error by its pickled arguments."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[1] / "helpers" / "every_class.py"
MAY_SHOW = {
    # The store's tags, which are keyed: not the number.
    "otpverify.core.keys.Key": "tags",
    "otpverify.core.fraud_ledger.FraudKey": "tags",
    # Masked by the code that makes it; `test_secrecy.py` looks at every event.
    "otpverify.core.results.Event": "masked",
    # Messages there are inspected ones, with neither text nor number.
    "otpverify.core.inspection.PurposeInspection": "not a text",
    # The live codes of the store: their digests are left out.
    "otpverify.core.state.ChallengeState": "not a text",
    # The object that writes messages.
    "otpverify.integrations.django.conf.Rules": "Messages",
    # Sentences, templates, scripts and faults of our own, the same for everybody.
    "otpverify.cli.lint._Report": "a template",
    "otpverify.integrations.web.other_ways.OtherWay": "a label",
    "otpverify.integrations.web.sentences.Sentence": "a sentence",
    "otpverify.stores.redis.scripts.Script": "a script",
    "otpverify.sandbox.faults.Fault": "a fault",
}


def test_no_class_shows_what_it_holds(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM],
        cwd=tmp_path,  # stores of a file make one
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["count"] > 150, "most classes can be looked at"
    leaks = [tuple(leak) for leak in found["leaks"] if leak[0] not in MAY_SHOW]
    assert leaks == []
    assert {leak[0] for leak in found["leaks"]} <= set(MAY_SHOW)
