"""`otpverify lint-message`, in this process and as CI runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from otpverify import Messages
from otpverify.cli import main as cli
from otpverify.sms.languages import languages

BRAND = "Twenty letters brand"
ROOT = Path(__file__).parents[2]


def lint(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = cli.main(["lint-message", *arguments])
    return code, capsys.readouterr().out


def test_the_built_in_texts_pass(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = lint(capsys, "--all", "--brand", BRAND)
    assert (code, out.splitlines()[-1]) == (0, "No findings.")
    heads = re.findall(
        r"^(\S+) \S+: (GSM-7|UCS-2), up to (\d+) units, 1 segment$", out, re.MULTILINE
    )
    assert {tag for tag, _, _ in heads} == set(languages())
    assert all(int(units) <= (160 if kind == "GSM-7" else 70) for _, kind, units in heads)


def test_what_is_shown_is_what_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--brand", "Shop", "--origin", "example.com", "--app-hash", "FA+9qCX9VSu"]
    code, out = lint(capsys, "--all", "--locale", "de-AT", *options)
    assert code == 0
    text = Messages(brand="Shop", origin="example.com", app_hash="FA+9qCX9VSu").render(
        "123456", ttl_seconds=600, purpose="login", locale="de"
    )
    shown = "".join(f"    {line}\n" for line in text.split("\n"))
    assert f"de login: GSM-7, up to 121 units, 1 segment\n{shown}de sign-in" in out
    assert "\nen" not in out


def test_a_brand_that_costs_a_second_segment(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = lint(capsys, "--all", "--locale", "en", "--brand", "Joe’s Кафе")
    assert code == 1
    assert "en login: UCS-2, up to 81 units, 2 segments" in out
    assert "  finding: It takes 2 segments (81 units of UCS-2)" in out
    assert out.endswith("5 findings.\n")
    assert lint(capsys, "--all", "--locale", "en", "--brand", "Ж", "--max-segments", "2")[0] == 0
    code, out = lint(capsys, "{brand}: {code} is your login code", "--brand", "Joe’s Cafe")
    assert (
        """  suggestion: write "'" for '’' (RIGHT SINGLE QUOTATION MARK) at 3, for GSM-7\n""" in out
    )


@pytest.mark.parametrize(
    ("brand", "written"),
    [("Joe’s Cafe", "Joe's Cafe"), ("Škoda", "Skoda"), ("S\u030ckoda", "Skoda")],
)
def test_a_brand_is_written_as_the_text_is(
    brand: str, written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = lint(capsys, "--all", "--brand", brand)
    assert code == 0
    assert out.startswith(f"brand: written {written!r} in the texts that are in GSM-7\n")
    assert f"    {written}: 123456 is your login code." in out
    code, out = lint(capsys, "--all", "--brand", "Cafe\u0301")
    assert code == 0
    assert "brand:" not in out
    assert "    Café: 123456 is your login code." in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{code} and {code}"], "not 2 times"),
        (["{code} {code.x}"], "not {code.x}"),
        (["{code"], "braces"),
        (["{brand} {code}"], "pass brand"),
        (["{code} bit.ly/x"], "looks like a link"),
        (["{code}", "--brand", "Shop 24"], "brand must be a name without digits"),
        (["{code}", "--origin", "https://example.com"], "origin must be a bare"),
        (["{code}", "--app-hash", "short"], "app_hash must be"),
        (["{code}" + " x" * 99, "--app-hash", "FA+9qCX9VSu"], "2 segments"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_findings_are_said_and_counted(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = lint(capsys, *arguments)
    assert code == 1
    assert said in out
    assert out.endswith("1 finding.\n")


def test_several_findings_of_one_text(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = lint(capsys, "a{code} 4711 example.com")
    assert code == 1
    assert out.count("  finding: ") == 3
    assert out.endswith("3 findings.\n")


def test_a_template_in_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "message.txt"
    file.write_text("Kood {code}\nKehtib {lifetime}…\n", encoding="utf-8")
    code, out = lint(capsys, "--file", str(file), "--locale", "et-EE", "--origin", "example.com")
    assert code == 0
    assert out == (
        "et: UCS-2, up to 52 units, 1 segment\n"
        "    Kood 123456\n    Kehtib 10 minutit…\n    @example.com #123456\n"
        "  suggestion: write '...' for '…' (HORIZONTAL ELLIPSIS) at 29, for GSM-7\n"
        "No findings.\n"
    )


def test_no_suggestions_where_the_script_decides(capsys: pytest.CaptureFixture[str]) -> None:
    assert "suggestion" not in lint(capsys, "Код «{code}»", "--locale", "ru")[1]


@pytest.mark.parametrize("what", ["--all", "{code}"])
@pytest.mark.parametrize("locale", ["xx", "", "*"])
def test_a_language_that_is_unknown(
    what: str, locale: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["lint-message", what, "--locale", locale]) == 2
    assert "must be one of ar, bg, ca, " in capsys.readouterr().err


def test_where_the_brand_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--brand", BRAND, "--origin", "example.com"]
    code, out = lint(capsys, "--all", *options)
    assert (code, out.splitlines()[-1]) == (0, "No findings.")
    messages = Messages(brand=BRAND, origin="example.com")
    text = messages.render("123456", ttl_seconds=600, purpose="login", locale="ru")
    assert BRAND not in text
    shown = "".join(f"    {line}\n" for line in text.split("\n"))
    head = r"^ru login \(without the brand\): UCS-2, up to \d+ units, 1 segment\n"
    assert re.search(head + re.escape(shown), out, re.MULTILINE)
    assert lint(capsys, "--all", "--brand", BRAND, "--origin", f"{'a' * 40}.example.com")[0] == 1


@pytest.mark.parametrize("content", [None, b"\xff\xfe{code}"])
def test_a_file_that_cannot_be_read(
    content: bytes | None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "message.txt"
    if content is not None:
        file.write_bytes(content)
    assert cli.main(["lint-message", "--file", str(file)]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["{code}", "--all"], ["--all", "--max-segments", "x"]])
def test_arguments_that_make_no_sense(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["lint-message", *arguments])
    assert exit_.value.code == 2


def test_a_terminal_without_the_letters_ends_no_report() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-m", "otpverify", "lint-message", "Код {code}"],
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert b"\\u041a\\u043e\\u0434 123456" in done.stdout
