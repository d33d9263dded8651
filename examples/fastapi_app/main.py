"""Flows as a JSON API in FastAPI, on the sandbox.

Install: .venv/bin/python -m pip install '.[async,fastapi]' uvicorn (make test has done it)
Run it:  .venv/bin/python examples/fastapi_app/main.py
By itself, without a browser: .venv/bin/python examples/fastapi_app/main.py --script
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import uvicorn

from otpverify import Policy
from otpverify.sandbox import Sandbox

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from examples.fastapi_app.application import create_app
from examples.fastapi_app.walk import walk
from examples.runner import HOST, options


def main() -> int:
    """Serve, or walk through the flows."""
    chosen = options("Flows in FastAPI, on the sandbox.", port=8000)
    with chosen.listening as listening, Sandbox(port=chosen.sandbox_port) as sandbox:
        app = create_app(sandbox.environ, inbox_url=sandbox.inbox_url, policy=Policy())
        # No header is believed, for nothing stands between. Behind a proxy:
        # proxy_headers=True, forwarded_allow_ips="<the proxy's address>".
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", access_log=False, proxy_headers=False)
        )
        url = f"http://{HOST}:{listening.getsockname()[1]}"
        if not chosen.script:
            print(f"API:   {url}/docs\nPage:  {url}\nInbox: {sandbox.inbox_url}", flush=True)
            server.run([listening])
            return 0
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            walk(url, sandbox)
        finally:
            server.should_exit = True
            thread.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
