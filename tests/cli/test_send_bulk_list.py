"""The list of `otpverify send-bulk`: a CSV file as spreadsheets and address books export it.

Every row is the number that was exported, or an error that names the line. No row becomes another
number, and none is lost.
"""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from otpverify import ConfigurationError, InvalidPhoneNumber
from otpverify.cli import main as cli
from otpverify.cli.send_bulk.csv_file import NumberList, read_number, read_numbers
from otpverify.phone import normalize
from otpverify.sandbox import Sandbox

FINNISH = "+358412345678"


def listed(folder: Path, content: str | bytes, column: str | None = None) -> NumberList:
    path = folder / "list.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_numbers(path, column)


def in_e164(cell: str, region: str | None = None) -> str | None:
    try:
        return normalize(read_number(cell), region)
    except InvalidPhoneNumber:
        return None


# --- a cell ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell",
    [
        "+358412345678",
        "+358412345678.0",
        "+358412345678.00",
        "+358412345678.000",
        "+358412345678,0",
        "+358412345678\u066b0",
        "+358412345678\uff0e0",
        "+358412345678 . 0",
        "+358 41 234 5678.\u0660",
        "+358412345678.\u0660\u0660",
        "+3.58412345678E+011",
        "+358 41 234 5678.0",
        "+358-41-234-5678.0",
        "+3.58412345678E+11",
        "+3,58412345678e11",
        "+35.8412345678E+10",
        "+3.584123456780E+11",
        "+358,412,345,678",
        "+358.412.345.678",
        "+358 412 345 678",
        "+358\u00a0412\u00a0345\u00a0678",
        "+358\u202f412\u202f345\u202f678",
        "+358'412'345'678",
        "+358\u2019412\u2019345\u2019678",
        "+358,412,345,678.00",
        "+358.412.345.678,00",
        "+358'412'345'678.0",
        "+358 412 345 678,0",
        "+3,58,41,23,45,678",
        '="+358412345678"',
        '="+358412345678.0"',
        "'+358412345678",
        "'+358412345678.0",
        "\u2018+358412345678",
        "\u2018+358412345678\u2019",
        '"+358412345678"',
        "\u201c+358412345678\u201d",
        "\ufeff+358412345678",
        "tel:+358412345678",
        "tel:+358-41-234-5678",
        " +358 (41) 234 5678 ",
        "+358 (0)41 234 5678",
    ],
    ids=ascii,
)
def test_a_cell_is_read_as_the_number_that_was_exported(cell: str) -> None:
    assert in_e164(cell) == FINNISH
    assert in_e164(cell, "FI") == FINNISH


@pytest.mark.parametrize(
    "cell",
    [
        "+3.58412E+11",
        "+3,58412E+11",
        "3.58412E+11",
        "3.6E11",
        "4E+11",
        "3.584123456785E+11",
        "+3.58412345678E-11",
        "+358412345678.5",
        "+358412345678,25",
        "+358,412,345,678.5",
        "+358.412.345.678.0",
        "+358.412.345.678.00",
        "+358,412,345,678,0",
        "+358412345678 +358412345679",
        "+358412345678, +358412345679",
        "+358412345678/+358412345679",
        "+358412345678;+358412345679",
        "+358412345678|79",
        "+358412345678\n+358412345679",
        "0412345678\n0412345679",
        "041234\n5678",
        "+358412345678/79",
        "+358412345678 / 9",
        "+358412345678 (2)",
        "+358412345678 [2]",
        "+358412345678x12",
        "+358412345678 x 12",
        "+358412345678 ext. 12",
        "+358412345678;ext=12",
        "tel:+358412345678;ext=12",
        "+358412345678#12",
        "+358412345678,12",
        "+358412345678,,12",
        "+358412345678p12",
        "+358412345678 (home)",
        "+358412345678 Ann",
        "Ann +358412345678",
        "",
        "n/a",
        "#VALUE!",
        "=358412345678-1",
        # A date, and what is left of a number with which the spreadsheet calculated.
        "2024-01-05",
        "2024/1/5",
        "2024.31.12",
        "05.01.2024",
        "05/01/2024",
        "5-1-2024",
        "01/25/2024",
        "05.01.24",
        "12-Mar",
        "-358412345678",
        "\u2212358412345678",
        "- 5678 9045",
        "-2345329",
        "-(041) 2345678",
        "(358412345678)",
        "(2,345,329)",
        "2345329-",
        "358412345678\u2212",
        # Percent, currency, results and errors of formulas.
        "+358412345678%",
        "$+358412345678",
        "358412345678.00 \u20ac",
        "#NUM!",
        "#N/A",
        "TRUE",
        "1E+11",
        "=+358412345678",
        '="+358412345678"&""',
        # Decimals of a calculation, and a zero after groups of digits.
        "+358412345678.0000000001",
        "+358412345677.9999999",
        "+358412345.125",
        "0412345678.125",
        "+358412345678.0.0",
        "041.2345678.0",
        "041.234.5678.0",
        "041,234,5678,0",
        "1." + "0" * 9000,
        "1," * 9000,
        "1E9999",
        "1" * 9000 + ".0",
    ],
    ids=lambda cell: ascii(cell)[:40],
)
def test_any_other_cell_is_invalid(cell: str) -> None:
    assert in_e164(cell) is None
    assert in_e164(cell, "FI") is None


@pytest.mark.parametrize(
    ("cell", "region", "found"),
    [
        ("412345678", "FI", FINNISH),
        ("0412345678.0", "FI", FINNISH),
        ("412345678.0", "FI", FINNISH),
        ("4.12345678E+8", "FI", FINNISH),
        ("412,345,678", "FI", FINNISH),
        ("358412345678.0", "FI", FINNISH),
        ("358412345678.0", None, None),
        ("5678.9045", "EE", "+37256789045"),
        ("617.1234", "EE", "+3726171234"),
        ("6171.234", "EE", "+3726171234"),
        ("6171.000", "EE", "+3726171000"),
        ("56789.00", "EE", None),
        ("5678904.5", "EE", None),
        ("01.71.83.87.00", "FR", "+33171838700"),
        ("079.123.45.00", "CH", "+41791234500"),
        ("(202) 555-0123.0", "US", "+12025550123"),
        ("030 12345/67", "DE", None),
        ("030/1234567", "DE", "+49301234567"),
        ("02/511.11.11", "BE", "+3225111111"),
        ("5678-90-45", "EE", "+37256789045"),
        ("56.78.90.45", "EE", "+37256789045"),
        ("(030) 1234567", "DE", "+49301234567"),
        ("030 12345-0", "DE", "+4930123450"),
    ],
    ids=ascii,
)
def test_national_numbers_in_cells(cell: str, region: str | None, found: str | None) -> None:
    assert in_e164(cell, region) == found


@given(
    st.integers(10**8, 10**12 - 1),
    st.sampled_from(
        [
            "{0}",
            "{0}.0",
            "{0}.00",
            "{0},0",
            "{0:,}",
            "{0:,}.00",
            "'{0}",
            '="{0}"',
            "{0:.15g}",
            "{0:e}",
            "{0:.5E}",
            "{0:.10E}",
            "{1}",
        ]
    ),
    st.sampled_from(["", "+"]),
)
def test_no_export_of_a_number_is_read_as_another(number: int, form: str, sign: str) -> None:
    cell = form.format(number, float(number))
    cell = re.sub(r"\d", lambda digit: sign + digit.group(), cell, count=1)
    try:
        found = read_number(cell)
    except InvalidPhoneNumber:
        assert "E" in form or "e" in form
    else:
        assert found == f"{sign}{number}"


# --- the column ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "column", "found"),
    [
        ("+37256789045\n+37256789046\n", None, [(1, "+37256789045"), (2, "+37256789046")]),
        ("phone\n+37256789045\n", None, [(2, "+37256789045")]),
        ("Name;Phone number\nA;1\n\nB;2\n", None, [(2, "1"), (4, "2")]),
        ("name\tmobile\nA\t1\n", None, [(2, "1")]),
        ('name,"to"\r\n"A, B","1"\r\n', None, [(2, "1")]),
        ("\ufeffphone,name\n1,A\n", None, [(2, "1")]),
        ("a,b\n1,2\n3,4\n", "b", [(2, "2"), (3, "4")]),
        ("a,b\n1,2\n", "2", [(2, "2")]),
        ("1,2\n3,4\n", "1", [(1, "1"), (2, "3")]),
        ("phone,name\n1,A\n,B\n", None, [(2, "1"), (3, "")]),
        ("phone,name\n1\n\n", "name", [(2, "")]),
        ("contact\n1\n", None, [(2, "1")]),
        # A heading with a digit.
        ("Name,Phone 1 - Value\nA,1\n", None, [(2, "1")]),
        ("Name,Phone 2 - Value\nA,1\n", "Phone 2 - Value", [(2, "1")]),
        ("Name,Phone 2 - Value\nA,1\n", "phone 2 value", [(2, "1")]),
        ("Name,Phone 2 - Value\nA,1\n", "2", [(2, "1")]),
        ("Phone 2\n1\n", None, [(2, "1")]),
        ("2,3\n4,5\n", "3", [(2, "5")]),
        # A first row with a number, in any spelling, is not a heading.
        ("+3.58412E+11\n1\n", None, [(1, "+3.58412E+11"), (2, "1")]),
        ("call +37256789045\n1\n", None, [(1, "call +37256789045"), (2, "1")]),
        ("n/a,A\n1,B\n", "1", [(1, "n/a"), (2, "1")]),
        ("nan\n1\n", None, [(1, "nan"), (2, "1")]),
        (",A\n1,B\n", "1", [(1, ""), (2, "1")]),
        ("#N/A\n1\n", None, [(1, "#N/A"), (2, "1")]),
        ("#VALUE!\n1\n", None, [(1, "#VALUE!"), (2, "1")]),
        ("#WERT!\n1\n", None, [(1, "#WERT!"), (2, "1")]),
        ("#DIV/0!\n1\n", None, [(1, "#DIV/0!"), (2, "1")]),
        ("#NV\n1\n", None, [(1, "#NV"), (2, "1")]),
        ("1E+11\n1\n", None, [(1, "1E+11"), (2, "1")]),
        ("A,3.6E+11\nB,1\n", "2", [(1, "3.6E+11"), (2, "1")]),
        ("12-Mar\n1\n", None, [(1, "12-Mar"), (2, "1")]),
        ("Mar-12\n1\n", None, [(1, "Mar-12"), (2, "1")]),
        ("TRUE\n1\n", None, [(1, "TRUE"), (2, "1")]),
        ("unknown\n1\n", None, [(1, "unknown"), (2, "1")]),
        ("Tel. 01\n1\n", None, [(2, "1")]),
        ("# Phone\n1\n", None, [(2, "1")]),
        ("E.164\n1\n", None, [(2, "1")]),
        ("name|phone\nA|1\n", None, [(2, "1")]),
        ("A|1\nB|2\n", "2", [(1, "1"), (2, "2")]),
        # Separators that the first line names, as Excel reads and writes them.
        ("sep=;\nphone;name\n1;A, B, C\n", None, [(3, "1")]),
        ("sep=,\r\nphone,name\r\n1,A;B;C\r\n", None, [(3, "1")]),
        ("sep=\t\nname\tphone\nA\t1\n", None, [(3, "1")]),
        ("sep=\\t\nname\tphone\nA\t1\n", None, [(3, "1")]),
        ('"sep=;"\nname;phone\nA;1\n', None, [(3, "1")]),
        ("\ufeffSEP=|\nname|phone\nA|1\n", None, [(3, "1")]),
        ("sep=;\n1\n2\n", None, [(2, "1"), (3, "2")]),
        # Lines, ends of lines, and cells of several lines.
        ("phone\r1\r2", None, [(2, "1"), (3, "2")]),
        ("phone\r\n1\n2\r3\r\n", None, [(2, "1"), (3, "2"), (4, "3")]),
        ("\n\r\n \nphone\n\n1\n;;\n2\n", None, [(6, "1"), (8, "2")]),
        ('name,phone\n"A\nB",1\nC,2\n', None, [(2, "1"), (4, "2")]),
        ('name,phone\n"A ""Z"" B",1\nC "D" E,2\n', None, [(2, "1"), (3, "2")]),
        ('phone,note\n1,"call\n+37256789045"\n2,B\n', None, [(2, "1"), (4, "2")]),
        ('phone, name\n1, "A, B"\n', None, [(2, "1")]),
        ("phone,name\n1,A,,\n", None, [(2, "1")]),
        ("phone\n358412345678,0\n", None, [(2, "358412345678,0")]),
        ("phone;name\n358,412,345,678;A\n", None, [(2, "358,412,345,678")]),
        ('phone,name\n"358412345678,0",A\n', None, [(2, "358412345678,0")]),
        ("phone\v\n1\n", None, [(2, "1")]),
    ],
    ids=ascii,
)
def test_the_column_is_found(
    tmp_path: Path, content: str, column: str | None, found: list[tuple[int, str]]
) -> None:
    assert [(row.line, row.given) for row in listed(tmp_path, content, column).rows] == found


@pytest.mark.parametrize("part", [".", ",0", "1.", "1.0,", "(", "12-", "-1", "1e"])
def test_no_pattern_goes_back_and_forth_over_a_long_cell(part: str) -> None:
    """It would take hours."""
    assert in_e164(part * (100_000 // len(part))) is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_files_that_programs_write(tmp_path: Path, encoding: str) -> None:
    found = listed(tmp_path, "name\tphone\r\nŠä\t1\r\n".encode(encoding))
    assert [(row.line, row.given) for row in found.rows] == [(2, "1")]


def test_it_is_known_what_was_read_as_the_heading(tmp_path: Path) -> None:
    assert listed(tmp_path, "\nname,Phone 1\nA,1\n", "2").heading == "Phone 1"
    assert listed(tmp_path, "\nname,Phone 1\nA,1\n", "2").heading_line == 2
    assert listed(tmp_path, "+37256789045\n").heading is None


@pytest.mark.parametrize(
    ("content", "column", "why"),
    [
        (b"a,b\n1,2\n", None, "has 2 columns.*--column.* 'a', 'b'"),
        (b"+37256789045,2\n1,2\n", None, "--column.$"),
        (b"phone,mobile\n1,2\n", None, "--column"),
        (b"phone,name\n1,2\n", "tel", "no column 'tel'.* 'phone', 'name'"),
        (b"phone,name\n1,2\n", "phnoe", "Did you mean 'phone'"),
        (b"+37256789045,Ann\n", "tel", "no column 'tel' in its first line.$"),
        (b"1,2\n", "3", "no column '3'"),
        (b"1,2\n", "0", "no column '0'"),
        (b"1,2\n", "0" * 5000, "no column"),
        (b"1,2\n", "9" * 5000, "no column"),
        (b"1,2\n", "-", "no column '-'"),
        (b"phone,phone\n1,2\n", "phone", r"more than one column 'phone'.*\(1 and 2\)"),
        (b"Phone,phone \n1,2\n", "PHONE", r"more than one column"),
        (b"phone,phone\n1,2\n", None, "--column"),
        (b"", None, "no numbers"),
        (b"\n\n", None, "no numbers"),
        (b"phone\n", None, "no numbers"),
        (b"sep=;", None, "no numbers"),
        (b"sep=ab\n1\n", None, "separator"),
        (b"phone\n\xff\n", None, "line 2 is not in UTF-8"),
        (b"phone,name\n1,A\n2,J\xe4rvi\n", None, "line 3 is not in UTF-8"),
        (b"phone\n1\n2\x003\n", None, "line 3 contains a NUL byte"),
        ("phone\n1\n".encode("utf-16-le"), None, "line 1 contains a NUL byte"),
        ("phone\n1\n".encode("utf-16")[:-1], None, "not utf-16"),
        (b"PK\x03\x04...", None, "is a spreadsheet"),
        (None, None, "cannot be read"),
        # Quotes that are not closed.
        (b'+37256789045,"Ann\n+37256789046,Bob\n', "1", "begins on line 1"),
        (b'phone,name\n1,A\n2,"B\n3,C\n', None, "begins on line 3"),
        (b'phone,name\n1,"A\n2,B\n3,"C"\n4,D\n', None, "begins on line 2"),
        (b'phone,name\n1,"A\n+37256789045,B\n+37256789046,"\n4,D\n', None, "begins on line 2"),
        (b'name,phone\nA,1\n"B,2\nC",+37256789046\n', None, None),
        (b'name,phone\nA,1\n"B,+37256789045\nC",+37256789046\n', None, "begins on line 3"),
        (b'phone,name\r\n1,A\r\n\r\n2,"B\r\n3,""\r\n', None, "begins on line 4"),
        (b'phone,name\r1,A\r2,"B\r', None, "begins on line 3"),
        (b'"phone,name\n1,A\n', None, "begins on line 1"),
        (b'phone\n"1\n', None, "begins on line 2"),
        (b'phone,name\n1,"A" B\n', None, "begins on line 2"),
        (b"phone,name\n1," + b"x" * 200_000 + b"\n", None, "begins on line 2.* 131,072 characters"),
        (b'phone,name\n1,"A\ntel:+37256789045,B\n2,"\n4,D\n', None, "begins on line 2"),
        (b'phone,name\n1,"A\n+3.7256789045E+10,B\n2,"\n4,D\n', None, "begins on line 2"),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_a_list_that_cannot_be_read(
    tmp_path: Path, content: bytes | None, column: str | None, why: str | None
) -> None:
    if why is None:
        assert len(listed(tmp_path, content or b"", column).rows) == 2
        return
    path = tmp_path / "list.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=why) as caught:
        read_numbers(path, column)
    assert "+3725" not in str(caught.value)


CELLS = st.text(st.sampled_from("ab12 +,;\"\n\r'=."), max_size=8)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6), st.sampled_from([",", ";"]))
def test_no_row_that_a_program_wrote_is_lost(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], delimiter: str
) -> None:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerows([("phone", "name"), *rows, ("1", "")])
    found = listed(tmp_path_factory.mktemp("list"), "sep=" + delimiter + "\n" + file.getvalue())
    wanted = [phone.strip() for phone, name in rows if phone.strip() or name.strip()]
    assert [row.given for row in found.rows] == [*wanted, "1"]


# --- rows that are not sent to ---------------------------------------------------------------


def test_rows_without_a_number_are_named_by_their_line(
    tmp_path: Path,
    smspm_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in smspm_sandbox.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(cli, "_take_signals", lambda: None)
    path = tmp_path / "list.csv"
    path.write_text(
        "name,phone,account\n"
        "Ann,+358412345678.0,1\n"
        "Bob,+3.58412E+11,2\n"
        '"Eve\nMiller",+358412345679.5,3\n'
        "Doe, Jane,+358412345670,+358412345671\n"
        "Zoe\n"
        "Kim,358412345672,6\n"
    )
    arguments = ["send-bulk", str(path), "--text", "Hello"]
    assert cli.main([*arguments, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "Column      'phone', by the headings on line 1\n" in out
    assert "Recipients  1\n  +35********78\n" in out
    for line in (
        "line 3: The spreadsheet rounded this number.",
        "line 4: This is not a whole number.",
        "line 6: This row has 4 cells; the first row has 3.",
        "line 7: Enter a phone number.",
        "line 8: Enter the number with its country code",
    ):
        assert f"  {line}" in out
    assert cli.main(arguments) == 1
    assert [message.to for message in smspm_sandbox.messages] == [FINNISH]
    results = (tmp_path / "list.csv.results.jsonl").read_text().splitlines()
    kept = [json.loads(line) for line in results]
    invalid = {line["line"]: line["given"] for line in kept if line.get("status") == "invalid"}
    assert sorted(invalid) == [3, 4, 6, 7, 8]
    assert invalid[3] == "+3.58412E+11"
