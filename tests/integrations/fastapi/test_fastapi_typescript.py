"""A TypeScript client that is generated from the OpenAPI document compiles, and its errors are a
union that the compiler tells apart."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI
from support import SECRET, long_form, missing

from otpverify.integrations.fastapi import FlowTokens, OtpFlow

HERE = Path(__file__).parent / "typescript"
PACKAGES = Path(__file__).parents[3] / "build" / "typescript" / "node_modules"
COMPILER = (
    "--strict",
    "--noEmit",
    "--target",
    "es2022",
    "--lib",
    "es2022,dom",
    "--module",
    "nodenext",
)

pytestmark = long_form


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program of Node's."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    node = shutil.which("node", path=path)
    if node is None or not PACKAGES.is_dir():
        missing("no TypeScript compiler here: make .venv/typescript.done installs it")
    return subprocess.run(
        [node, *map(str, command)], cwd=folder, capture_output=True, text=True, timeout=300
    )


PROGRAM = (HERE / "client.ts").read_text()
MISTAKES = [
    ('    case "urn:otpverify:problem:store-unavailable":\n', "", "to parameter of type 'never'"),
    ('        case "consecutive_failures":\n', "", "to parameter of type 'never'"),
    ('case "sends_per_ip"', 'case "sends_per_network"', "is not comparable"),
    ("problem.maybe_sent", "problem.retry_after", "does not exist"),
    ("(problem.errors ?? [])", "problem.errors", "possibly 'undefined'"),
    ('operations["phone_start"]', 'operations["phone_begin"]', "does not exist"),
    ('["headers"]["Otp-Flow"]', '["headers"]["Otp-Token"]', "is not assignable"),
    ("= { phone };", "= { number: phone };", "does not exist"),
]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the compiler says about the program, and about one program for each mistake, beside the
    generated client. One run compiles all: it takes seconds."""
    folder = tmp_path_factory.mktemp("client")
    app = FastAPI()
    app.include_router(OtpFlow("phone", session=FlowTokens(SECRET)).router(prefix="/phone"))
    app.include_router(OtpFlow("sign-in").router(prefix="/sign-in"))
    (folder / "openapi.json").write_text(json.dumps(app.openapi()))
    generator = PACKAGES / "openapi-typescript" / "bin" / "cli.js"
    made = run(generator, "openapi.json", "--output", "api.d.ts", folder=folder)
    assert made.returncode == 0, made.stderr
    (folder / "client.ts").write_text(PROGRAM)
    for number, (right, wrong, _) in enumerate(MISTAKES):
        assert PROGRAM.count(right) == 1, right
        (folder / f"mistake{number}.ts").write_text(PROGRAM.replace(right, wrong))
    programs = sorted(folder.glob("*[a-z0-9].ts"))
    compiler = PACKAGES / "typescript" / "bin" / "tsc"
    return run(compiler, *COMPILER, *programs, folder=folder).stdout


def test_a_generated_client_compiles(said: str) -> None:
    assert [line for line in said.splitlines() if not line.startswith(("mistake", " "))] == []


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_a_mistake_does_not_compile(said: str, number: int) -> None:
    errors = [line for line in said.splitlines() if line.startswith(f"mistake{number}.ts")]
    assert any(MISTAKES[number][2] in error for error in errors), errors
