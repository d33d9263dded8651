"""What the first block of FastAPI's page shows works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support import OTHER_SECRET, PHONE

from otpverify.sandbox import Sandbox

PAGE = (Path(__file__).parents[2] / "docs/how-to/fastapi.md").read_text()


def test_what_the_page_shows_confirms_a_phone(
    smspm_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if "# AsyncVerifier.from_env()" in block]
    for name, value in smspm_sandbox.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OTPVERIFY_SECRET", OTHER_SECRET)
    names: dict[str, Any] = {"__name__": "a_page"}
    exec(compile(block, "a page", "exec"), names)
    with TestClient(names["app"], base_url="https://testserver") as browser:
        assert browser.put("/account/phone").status_code == 403
        assert browser.post("/phone/start", json={"phone": PHONE}).status_code == 202
        code = {"code": smspm_sandbox.messages[0].code}
        assert browser.post("/phone/check", json=code).json()["state"] == "verified"
        assert browser.put("/account/phone").json() == PHONE
        assert browser.put("/account/phone").json()["type"].endswith(":proof-required")
