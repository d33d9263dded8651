"""What messages say, in every language, and what is refused before anybody is sent it."""

from __future__ import annotations

import logging
import re
import unicodedata
from typing import Any

import pytest
from babel import Locale
from bidi import get_display
from hypothesis import example, given, settings, strategies as st
from support import OTHER_PHONE, PHONE, Face

from otpverify import ConfigurationError, Messages
from otpverify.integrations.web.enrolment import NEW_PHONE
from otpverify.integrations.web.sentences import code_in
from otpverify.sandbox.outbox import find_code
from otpverify.sms import approval as approval_line, segments, suggest_gsm7
from otpverify.sms.gsm7 import in_gsm7
from otpverify.sms.languages import EVERY_PURPOSE, languages, negotiate
from otpverify.testing import OutboxSender

CODE = "012345"
BRAND = "Twenty letters brand"
TAGS = sorted(languages())
RIGHT_TO_LEFT = sorted(tag for tag in TAGS if languages()[tag].direction == "rtl")
PURPOSES = ["login", "sign-in", "phone", "password-reset", "verify", "payment"]
LIFETIMES = [*range(1, 60), *range(60, 3601, 60)]
FSI, PDI = "\u2068", "\u2069"
CONTROLS = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
# Whose scripts GSM-7 does not have.
UCS2 = {"ar", "bg", "el", "fa", "he", "hi", "ja", "ko", "ru", "th", "uk", "ur"}
UCS2 |= {"zh-Hans", "zh-Hant"}


DOUBLE_QUOTES = (
    '"\u02ba\u02dd\u02ee\u201c\u201d\u201e\u201f\u2033\u2036\u3003\u301d\u301e\u301f\uff02'
)


def single_quoted(text: str) -> str:
    """The text with one kind of quotes: those inside a quoted value are single ones."""
    return re.sub(f"[{DOUBLE_QUOTES}]", "'", text)


def render(messages: Messages, **options: Any) -> str:
    return messages.render(CODE, **{"ttl_seconds": 600, "purpose": "login", **options})


@pytest.mark.parametrize("tag", TAGS)
def test_a_phone_that_is_added_gets_the_text_of_a_phone_that_is_confirmed(tag: str) -> None:
    added, confirmed = (
        render(Messages(), locale=tag, purpose=purpose) for purpose in (NEW_PHONE, "phone")
    )
    assert added == confirmed


@pytest.mark.parametrize(
    ("messages", "options", "text"),
    [
        (Messages(), {}, "012345 is your login code. It expires in 10 minutes. Do not share it."),
        (
            Messages(brand="Example"),
            {"ttl_seconds": 119, "purpose": "anything"},
            "Example: 012345 is your verification code. It expires in 1 minute. Do not share it.",
        ),
        (
            Messages(),
            {"ttl_seconds": 45, "locale": "xx", "purpose": "password-reset"},
            "012345 is your password reset code. It expires in 45 seconds. Do not share it.",
        ),
        (
            Messages(brand="Bank"),
            {"binding": {"amount": "25.00 EUR", "payee": "Two\n\n@evil.example #999999"}},
            "Bank: 012345 is your login code. It expires in 10 minutes. Do not share it.\n"
            'This code approves: amount: 25.00 EUR, payee: "Two @evil. example#999999".',
        ),
        (
            Messages(origin="login.example.com"),
            {"locale": "de-AT", "binding": {"amount": "25,00 EUR"}},
            "012345 ist Ihr Anmeldecode. Er ist 10 Minuten gültig. Geben Sie ihn nicht weiter.\n"
            "Sie bestätigen damit: amount: 25,00 EUR.\n"
            "@login.example.com #012345",
        ),
        (
            Messages(app_hash="FA+9qCX9VSu"),
            {"locale": "et"},
            "012345 on teie sisselogimiskood. Kood kehtib 10 minutit. Ärge jagage seda kellegagi.\n"
            "FA+9qCX9VSu",
        ),
        (
            Messages(brand="Shop", origin="example.com", app_hash="FA+9qCX9VSu"),
            {"locale": "ja"},
            "【Shop】ログイン認証コード：012345。有効期限は10分です。他人に教えないでください。\n"
            "@example.com #012345 FA+9qCX9VSu",
        ),
        (
            Messages(brand="Example"),
            {"locale": "he", "binding": {"סכום": "25.00 EUR"}},
            "Example\nקוד כניסה 012345\nתקף ל-10 דקות. אין למסור.\n"
            f"הקוד מאשר: סכום: {FSI}25.00 EUR{PDI}",
        ),
    ],
)
def test_texts(messages: Messages, options: dict[str, Any], text: str) -> None:
    assert render(messages, **options) == text


class TestEveryLanguage:
    @pytest.mark.parametrize("tag", TAGS)
    def test_is_one_segment_in_its_cheapest_encoding(self, tag: str) -> None:
        messages = Messages(brand=BRAND)
        for purpose in PURPOSES:
            for ttl_seconds in LIFETIMES:
                text = render(messages, locale=tag, purpose=purpose, ttl_seconds=ttl_seconds)
                count = segments(text)
                assert count.parts == 1, text
                assert count.encoding == ("UCS-2" if tag in UCS2 else "GSM-7"), text

    @pytest.mark.parametrize("tag", TAGS)
    def test_has_room_for_the_origin_line(self, tag: str) -> None:
        messages = Messages(brand=BRAND, origin="example.com")
        for purpose in PURPOSES:
            text = render(messages, locale=tag, purpose=purpose)
            assert segments(text).parts == 1, text
            assert (BRAND in text) or tag in UCS2 - {"zh-Hans", "zh-Hant"}

    @pytest.mark.parametrize("tag", TAGS)
    def test_leaves_the_brand_out_only_where_that_saves_a_segment(self, tag: str) -> None:
        for host in ("a.eu", "example.com", "login.example.com", "accounts.bank.example.com"):
            bare, named = Messages(origin=host), Messages(brand="Shop", origin=host)
            for purpose, ttl_seconds, code in [
                *((purpose, 600, CODE) for purpose in PURPOSES),
                *(("login", ttl_seconds, CODE) for ttl_seconds in (1, 45, 60, 3540, 86_400)),
                *(("login", 600, "1" * digits) for digits in (4, 8, 10)),
            ]:
                given: dict[str, Any] = {"ttl_seconds": ttl_seconds, "purpose": purpose}
                text, without = (
                    messages.render(code, locale=tag, **given) for messages in (named, bare)
                )
                body = Messages(brand="Shop").render(code, locale=tag, **given)
                branded = f"{body}\n@{host} #{code}"
                saves = segments(branded).parts > 1 and segments(without).parts == 1
                assert text == (without if saves else branded)

    @given(tag=st.sampled_from(TAGS), data=st.data())
    @settings(max_examples=300)
    def test_says_what_it_must(self, tag: str, data: st.DataObject) -> None:
        letters = st.characters(categories=["Lu", "Ll", "Lo"])
        brand = data.draw(st.none() | st.text(letters, min_size=1, max_size=20))
        code = data.draw(st.from_regex(r"[0-9]{4,10}", fullmatch=True))
        purpose = data.draw(st.sampled_from(PURPOSES))
        ttl_seconds = data.draw(st.integers(1, 86_400))
        binding = data.draw(
            st.none() | st.dictionaries(st.text(max_size=9), st.text(max_size=20), max_size=3)
        )
        origin = data.draw(st.none() | st.sampled_from(["example.com", "a.b-c.example"]))
        app_hash = data.draw(st.none() | st.from_regex(r"[A-Za-z0-9+/]{11}", fullmatch=True))
        messages = Messages(brand=brand, origin=origin, app_hash=app_hash)
        text = messages.render(
            code, ttl_seconds=ttl_seconds, purpose=purpose, locale=tag, binding=binding
        )
        assert find_code(text) == code
        named = [unicodedata.normalize("NFC", brand or ""), in_gsm7(brand or "")]
        assert origin is not None or any(name is not None and name in text for name in named)
        for name, value in (binding or {}).items():
            for word in f"{name} {value}".split():
                kept = re.sub(CONTROLS, "", word).lstrip("#")
                assert single_quoted(kept) in single_quoted(text.replace(" ", ""))
        assert not re.search(r"\{|\}", "" if binding else text)
        last = text.rpartition("\n")[2]
        if origin:
            assert as_the_specification_parses(text) == (origin, code)
            assert as_chromium_parses(text) == (origin, code)
        if app_hash:
            assert last.endswith(app_hash)
        if not origin and not binding:
            assert as_the_specification_parses(text) is None

    @pytest.mark.parametrize("tag", TAGS)
    def test_words_purposes_apart_where_it_does(self, tag: str) -> None:
        texts = [render(Messages(), locale=tag, purpose=purpose) for purpose in PURPOSES]
        assert len(set(texts)) >= 3
        assert texts[-1] == texts[-2] == render(Messages(), locale=tag, purpose=EVERY_PURPOSE)

    @pytest.mark.parametrize("tag", TAGS)
    def test_a_code_that_signs_in_alone_does_not_read_as_a_second_factor(self, tag: str) -> None:
        alone, second = (
            render(Messages(), locale=tag, purpose=purpose) for purpose in ("sign-in", "login")
        )
        general = render(Messages(), locale=tag, purpose=EVERY_PURPOSE)
        assert len({alone, second, general}) == 3

    @pytest.mark.parametrize("tag", TAGS)
    def test_counts_as_unicode_does(self, tag: str) -> None:
        language, locale = languages()[tag], Locale.parse(tag, sep="-")
        for n in range(1, 122):
            form = locale.plural_form(n)
            for forms, seconds in ((language.minutes, n * 60), (language.seconds, n)):
                if forms is language.seconds and n >= 60:
                    continue
                expected = forms.get(form, forms["other"]).replace("{n}", str(n))
                assert language.lifetime(seconds) == expected

    @pytest.mark.parametrize("tag", TAGS)
    def test_warns_and_says_how_long_with_or_without_a_brand(self, tag: str) -> None:
        text, language = render(Messages(), locale=tag), languages()[tag]
        lead, warning = language.tail.split("{lifetime}")
        assert f"{lead}{language.lifetime(600)}{warning}" in text
        assert len(warning) > 5

    def test_no_lifetime_looks_like_a_code(self) -> None:
        text = render(Messages(), ttl_seconds=86_400)
        assert re.findall(r"\d+", text) == [CODE, "999"]


@pytest.mark.parametrize("tag", TAGS)
def test_what_gsm7_lacks_was_taken_out_on_purpose(tag: str) -> None:
    """A text that is UCS-2 is so for its script, not for an accent or a quote."""
    forcing = suggest_gsm7(render(Messages(), locale=tag))
    assert bool(forcing) == (tag in UCS2)
    letters = [found for found in forcing if found.character.isalpha()]
    assert all(found.replacement is None for found in letters) or tag == "el"


@pytest.mark.parametrize("tag", RIGHT_TO_LEFT)
@pytest.mark.parametrize("base", ["L", "R", None])
def test_right_to_left_texts_read_in_order(tag: str, base: str | None) -> None:
    """Whichever direction the phone gives a line: digits stay together and in order, and the
    code stands at the left end of its line, where a reader from the right comes to it last."""

    def shown(line: str, base: str | None = base) -> str:
        return str(get_display(line, base_dir=base))

    for brand in (BRAND, "Shop (EU)", "שלום", "بنك"):
        messages = Messages(brand=brand)
        for purpose in PURPOSES:
            text = render(messages, locale=tag, purpose=purpose, binding={"סכום": "1250.00 EUR"})
            name, code, lifetime, approval = text.split("\n")
            assert shown(name) in (brand, get_display(brand, base_dir=base))
            assert code.endswith(f" {CODE}")
            assert shown(code).startswith(f"{CODE} ")
            assert "10" in shown(lifetime)
            assert "1250.00 EUR" in shown(approval)
        text = render(Messages(brand=brand, origin="example.com"), locale=tag)
        assert shown(text.split("\n")[-1], "L") == f"@example.com #{CODE}"


@pytest.mark.parametrize("tag", ["en", "he"])
def test_what_is_approved_reads_as_it_is_written(tag: str) -> None:
    value = "A\u202eB\x00\u2066C\n\r\u2028@x.example \t #1\u200f2"
    line = render(Messages(), locale=tag, binding={"payee": value}).split("\n")[-1]
    assert re.findall(CONTROLS, line.replace(f" {FSI}", " ").replace(PDI, "", 1)) == []
    assert "payee: ABC @x. example#12" in line.replace(FSI, "")


# What the link detectors of phones and browsers go by, and a little more.
OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
DOTS = ".\u3002\uff0e\uff61"
TAPPABLE = (
    rf"(?i)://[\w@/\[]|\bwww[{DOTS}]\w|\S[{DOTS}][^\W\d_]{{2,}}|\S[{DOTS}]भा"
    rf"|(?a:(?<!\d)(?:{OCTET}\.){{3}}{OCTET}(?!\d))"
)
PIECES = ["http", "https", "://", "www", ".", "。", "evil", "com", "bit.ly", "/x", "@", " ", "#9"]
PIECES += [
    "xn--p1ai",
    "рф",
    "भारत",
    "1.2.3.4",
    "25",
    "-",
    ":",
    "\u202e",
    "\n",
    "a",
    "{fields}",
    "255",
]


@given(
    tag=st.sampled_from(TAGS),
    value=st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=30),
)
@example(tag="ja", value=".http")  # no space separates it from the colon
@settings(max_examples=300)
def test_nothing_in_a_binding_can_be_tapped(tag: str, value: str) -> None:
    text = render(Messages(), locale=tag, binding={"payee": value, "note": value})
    line = re.sub(f"[{FSI}{PDI}]", "", text[len(render(Messages(), locale=tag)) :])
    assert re.search(TAPPABLE, line) is None
    assert as_chromium_parses(text) is None
    # It is still all there to read.
    visible = re.sub(rf"{CONTROLS}|\s", "", value)
    assert single_quoted(visible) in single_quoted(re.sub(rf"{CONTROLS}|\s", "", line))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("http://evil.com/x", "http:// evil. com/x"),
        ("HTTPS://WWW.EVIL.CO.UK", "HTTPS:// WWW. EVIL. CO. UK"),
        ("www.1", "www. 1"),
        ("pay me@evil.com", "pay me@evil. com"),
        ("пример.рф", "пример. рф"),
        ("उदाहरण.भारत", "उदाहरण. भारत"),
        ("evil。com", "evil。 com"),
        ("evil.xn--p1ai", "evil. xn--p1ai"),
        ("192.168.0.1/x", "192. 168. 0. 1/x"),
        ("http://2130706433", "http:// 2130706433"),
    ],
    ids=ascii,
)
def test_a_link_in_a_binding_is_cut(value: str, shown: str) -> None:
    assert f"payee: {shown}." in render(Messages(), binding={"payee": value})


AMOUNTS = ["1.234,56 EUR", "25.00 EUR", "EUR 1.234.567,00", "1,234.50", "€9.99", "Fr. 20.50"]
DATES = ["22.11.2026", "22.11.2026 18:30", "2026-11-22T18:30:00.000Z", "18.30"]
NAMES = ["S.p.A. & Co", "J. P. Morgan", "e.g. 5", "Shop/Cafe", "a:b", "24/7", "A.", "1.5x"]


@pytest.mark.parametrize("value", [*AMOUNTS, *DATES, *NAMES], ids=ascii)
def test_amounts_dates_and_names_stay_as_they_are(value: str) -> None:
    assert f"payee: {value}." in render(Messages(), binding={"payee": value})


@given(cents=st.integers(0, 10**11 - 1), point=st.sampled_from([".", ","]))
def test_every_amount_stays_as_it_is(cents: int, point: str) -> None:
    value = f"{cents / 100:,.2f} EUR"
    if point == ",":
        value = value.translate({ord(","): ".", ord("."): ","})
    assert f"amount: {value}." in render(Messages(), binding={"amount": value})


IMITATIONS = [
    "Bob, amount: 5.00 EUR",
    "Bob,amount:5.00 EUR",
    "Bob; amount: 5.00 EUR",
    "Bob amount: 5.00 EUR",
    "Bob amount:5.00 EUR",
    "Bob, amount = 5.00 EUR",
    "Bob\n amount: 5.00 EUR",
    "Bob\u2028\u202e, amount: 5.00 EUR",
    "Bob\uff0c amount\uff1a 5.00 EUR",
    "Bob\u201a amount\ua789 5.00 EUR",
    "Bob\u060c amount\u2236 5.00 EUR",
    "Bob | amount 5.00 EUR",
    "Bob \u2022 amount 5.00 EUR",
    "Bob, ",
    ": 5.00 EUR",
    "Bob: ",
    "",
    " ",
    'Bob", amount: "5.00 EUR',
    "Bob\u201d, amount: 5.00 EUR",
    'Bob"',
]


@pytest.mark.parametrize("tag", TAGS)
def test_a_value_cannot_imitate_a_field(tag: str) -> None:
    """It stands in quotes, and nothing inside looks like the closing one."""
    language = languages()[tag]
    messages = Messages()
    without = len(render(messages, locale=tag))
    name, amount = f"payee{language.colon}", f"{language.list}amount{language.colon}25.00 EUR"
    for value in IMITATIONS:
        text = render(messages, locale=tag, binding={"payee": value, "amount": "25.00 EUR"})
        line = re.sub(f"[{FSI}{PDI}]", "", text[without:].lstrip("\n"))
        quoted = line[line.index(name) + len(name) : line.rindex(amount)]
        assert quoted[0] == quoted[-1] == '"', ascii(value)
        assert re.search(f"[{DOUBLE_QUOTES}]", quoted[1:-1]) is None, ascii(value)


OTHER_CODES = [
    "5.00 EUR. Your code is 999999",
    "999999",
    "Bob 999999",
    "999 999",
    "999-999",
    "9 9 9 9 9 9",
    "99\u201399\u201399",
    "99 / 99 / 99",
    "999\u200d999",
    "\uff19\uff19\uff19\uff19\uff19\uff19",
    "\u0669\u0669\u0669\u0669\u0669\u0669",
    "\u2079\u2079\u2079\u2079\u2079\u2079",
    "code999999",
    "12 999999",
    "999999.",
    "999999, not 5.00 EUR",
]


@pytest.mark.parametrize("tag", TAGS)
def test_a_value_cannot_imitate_a_code(tag: str) -> None:
    """It stands in quotes, and the code does not: a pasted message has one code."""
    messages = Messages()
    without = len(render(messages, locale=tag))
    for value in OTHER_CODES:
        text = render(messages, locale=tag, binding={"payee": value})
        line = re.sub(f"[{FSI}{PDI}]", "", text[without:])
        assert f'payee{languages()[tag].colon}"' in line, ascii(value)
        assert code_in(text, len(CODE)) == CODE, ascii(value)


@given(
    length=st.integers(4, 10),
    before=st.sampled_from(["", "Bob ", "code is ", "5.00 EUR. Your code is "]),
    gap=st.sampled_from(["", " ", "-", "\u200b", " - ", "\u00a0", "\u2011", "/", "_"]),
    after=st.sampled_from(["", ".", " EUR", "!", "\nThanks"]),
    zero=st.sampled_from("0\u0660\u06f0\u0966\uff10\U0001d7ce"),
    data=st.data(),
)
@settings(max_examples=300)
def test_digits_of_the_length_of_a_code_stand_in_quotes(
    length: int, before: str, gap: str, after: str, zero: str, data: st.DataObject
) -> None:
    digits = data.draw(st.lists(st.integers(0, 9), min_size=length, max_size=length))
    cuts = data.draw(st.sets(st.integers(1, length - 1)))
    value = "".join(
        f"{gap if place in cuts else ''}{chr(ord(zero) + digit)}"
        for place, digit in enumerate(digits)
    )
    code = "1" * length
    options: dict[str, Any] = {"ttl_seconds": 600, "purpose": "login"}
    binding = {"payee": f"{before}{value}{after}"}
    text = Messages().render(code, binding=binding, **options)
    plain = Messages().render(code, **options)
    assert re.fullmatch(r'\nThis code approves: payee: "[^"]+"\.', text[len(plain) :])
    assert code_in(text, length) == code


@given(
    tag=st.sampled_from(TAGS),
    values=st.lists(
        st.text(st.sampled_from('ab1 ,:;="\u201d\uff1a\u3001\n/.'), max_size=12),
        min_size=2,
        max_size=4,
    ),
)
@settings(max_examples=300)
def test_the_fields_of_a_binding_can_be_told_apart(tag: str, values: list[str]) -> None:
    """A reader who goes by quotes, and by the separators outside of them, finds each field once."""
    language = languages()[tag]
    binding = {f"name{chr(97 + i)}": value for i, value in enumerate(values)}
    text = render(Messages(), locale=tag, binding=binding)
    line = re.sub(f"[{FSI}{PDI}]", "", text[len(render(Messages(), locale=tag)) :])
    outside = re.sub('"[^"]*"', "", line)
    assert outside.count('"') == 0
    assert outside.count(language.list) == len(values) - 1
    before = language.approves.replace("{fields}", "").count(language.colon)
    assert outside.count(language.colon) == len(values) + before


@pytest.mark.parametrize(
    "value",
    ["@" * 40_000, "@a #" * 20_000, "1." * 40_000, "a." * 40_000, ", " * 40_000, "a" * 10**6],
)
def test_a_long_binding_is_refused_before_any_work(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(_: str) -> str:
        raise AssertionError("it was looked at")

    monkeypatch.setattr(approval_line, "_plain", work)
    for binding in ({"payee": value}, {value: "Bob"}, {"a": value[:1000], "b": value[:1000]}):
        with pytest.raises(ConfigurationError, match="segments long"):
            render(Messages(), binding=binding)


def test_a_binding_may_not_cost_any_number_of_segments(
    verifier: Face, outbox: OutboxSender
) -> None:
    """A payee's name may be a stranger's, and every segment is charged."""
    for length, sent in ((1_000, True), (1_500, False), (100_000, False)):
        binding = {"payee": "x" * length}
        if sent:
            verifier.start(PHONE, binding=binding)
            assert 2 <= segments(outbox.last.text).parts <= 10
        else:
            with pytest.raises(ConfigurationError, match="segments long"):
                verifier.start(OTHER_PHONE, binding=binding)
    assert len(outbox) == 1


def test_a_binding_may_take_ten_segments() -> None:
    room = 10 * 153 - segments(render(Messages(), binding={"payee": "x"})).units + 1
    assert segments(render(Messages(), binding={"payee": "x" * room})).parts == 10
    with pytest.raises(ConfigurationError, match="11 segments long"):
        render(Messages(), binding={"payee": "x" * (room + 1)})


@pytest.mark.parametrize("binding", [{"amount": 25}, {5: "x"}, [("a", "b")], 5, "x", {"a": None}])
def test_a_binding_that_is_none(binding: Any) -> None:
    with pytest.raises(ConfigurationError, match="binding must map str to str"):
        render(Messages(), binding=binding)


def as_the_specification_parses(text: str) -> tuple[str, str] | None:
    """The algorithm of section 3.2 of the origin-bound one-time codes report, step by step."""
    line = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[-1]
    position = 0

    def token(marker: str) -> str | None:
        nonlocal position
        if line[position : position + 1] != marker:
            return None
        begin = position = position + 1
        while position < len(line) and line[position] not in "\t\n\f\r ":
            position += 1
        return line[begin:position] or None

    host = token("@")
    if host is None or line[position : position + 1] != " ":
        return None
    position += 1
    code = token("#")
    return None if code is None else (host, code)


def as_chromium_parses(text: str) -> tuple[str, str] | None:
    found = re.search(r"(?:^|\s)@([a-zA-Z0-9.-]+) #([^#\s]+)", text)
    return (found[1], found[2]) if found else None


class TestNegotiation:
    @pytest.mark.parametrize(
        ("locale", "tag"),
        [
            ("de", "de"),
            ("de-AT", "de"),
            ("de-Latn-AT-1901-x-private", "de"),
            ("DE_at", "de"),
            ("de_AT.UTF-8@euro", "de"),
            ("pt", "pt"),
            ("pt-PT", "pt"),
            ("pt-BR", "pt-BR"),
            ("pt_br", "pt-BR"),
            ("zh", "zh-Hans"),
            ("zh-CN", "zh-Hans"),
            ("zh-SG", "zh-Hans"),
            ("zh-TW", "zh-Hant"),
            ("zh-HK", "zh-Hant"),
            ("zh_mo", "zh-Hant"),
            ("zh-Hans-HK", "zh-Hans"),
            ("zh-hant-cn", "zh-Hant"),
            ("yue-HK", "zh-Hant"),
            ("no", "nb"),
            ("nn-NO", "nb"),
            ("nb-NO", "nb"),
            ("iw", "he"),
            ("iw-IL", "he"),
            ("in", "id"),
            ("mo-MD", "ro"),
            ("es-419", "es"),
            ("en-x-pirate", "en"),
            ("xx", "en"),
            ("tlh-Latn", "en"),
            ("und", "en"),
            ("", "en"),
            ("-", "en"),
            ("*", "en"),
            (" de ", "de"),
            ("d" * 10_000, "en"),
            ("de" + "-x" * 10_000, "en"),
            (None, "en"),
            (5, "en"),
            ([], "en"),
        ],
        ids=lambda value: repr(value)[:20],
    )
    def test_the_nearest_language(self, locale: Any, tag: str) -> None:
        assert negotiate(locale) == tag
        assert render(Messages(), locale=locale) == render(Messages(), locale=tag)

    @given(st.text())
    def test_garbage_is_english_or_a_language(self, locale: str) -> None:
        assert negotiate(locale) in TAGS

    @pytest.mark.parametrize("tag", TAGS)
    def test_every_language_is_found(self, tag: str) -> None:
        assert negotiate(tag) == negotiate(tag.upper().replace("-", "_")) == tag
        assert negotiate(f"{tag}-x-anything") == tag


class TestTemplates:
    def test_for_every_purpose_and_for_one(self) -> None:
        messages = Messages(
            brand="Example",
            origin="example.com",
            templates={
                "en": {"login": "{brand}: {code} signs you in, for {lifetime}."},
                "de": "{{{code}}}",
                "fr": {"*": "Code {code}", "login": "Connexion {code}"},
            },
        )
        line = f"\n@example.com #{CODE}"
        login = f"Example: {CODE} signs you in, for 10 minutes.{line}"
        assert render(messages) == login
        assert "verification" in render(messages, purpose="verify")
        assert render(messages, locale="de-AT", purpose="x") == f"{{{CODE}}}{line}"
        assert render(messages, locale="fr") == f"Connexion {CODE}{line}"
        assert render(messages, locale="fr", purpose="phone") == f"Code {CODE}{line}"
        assert "inlogcode" in render(messages, locale="nl")

    def test_what_a_code_approves_is_added(self) -> None:
        messages = Messages(templates={"en": "Code {code}"}, origin="example.com")
        assert render(messages, binding={"amount": "25.00 EUR"}) == (
            f"Code {CODE}\nThis code approves: amount: 25.00 EUR.\n@example.com #{CODE}"
        )

    @pytest.mark.parametrize(
        ("template", "said"),
        [
            ("Your code is on its way.", "not 0 times"),
            ("{code} {code}", "not 2 times"),
            ("{code} {amount}", "not {amount}"),
            ("{code} {0}", "not {0}"),
            ("{code} {}", "not {}"),
            ("{code.__class__}", "not {code.__class__}"),
            ("{code[0]}", "not {code[0]}"),
            ("{code:>99}", "nothing else"),
            ("{code!r}", "nothing else"),
            ("{code", "braces do not match"),
            ("code}", "braces do not match"),
            ("{brand}: {code}", "pass brand"),
            ("{code} https://example.com", "looks like a link"),
            ("{code} www.example", "looks like a link"),
            ("{code} at example.com", "looks like a link"),
            ("{code} bit.ly/x", "looks like a link"),
            ("{code} пример.рф", "looks like a link"),
            ("{code}.Never share it", "looks like a link"),
            ("{code} call 4567", "4567 could be taken for the code"),
            ("{code} call ٤٥٦٧", "could be taken for the code"),
            ("{code} 12-3456", "3456 could be taken"),
            ("1{code}", "stand apart"),
            ("{code}2", "stand apart"),
            ("code{code}", "stand apart"),
            ("{code}_x", "stand apart"),
            ("{code}\n@home", "pass origin"),
            ("{code}\n@example.com", "pass origin"),
            ("{code} @example.com #1", "pass origin"),
            ("@example.com {code}", "pass origin"),
            ("{code}\x00", "control characters"),
            ("{code}\r\nx", "control characters"),
            ("{code} \u202e", "control characters"),
            ("{code} " + "x" * 160, "takes 2 segments (167 units of GSM-7)"),
            ("{code} õ" + "x" * 70, "takes 2 segments (78 units of UCS-2)"),
        ],
        ids=ascii,
    )
    def test_what_is_refused(self, template: str, said: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            Messages(templates={"en": {"login": template}})
        assert said in str(caught.value)
        assert "templates['en']" in str(caught.value)

    @pytest.mark.parametrize(
        "template",
        [
            "{code}",
            "G-{code}",
            "{code}.",
            "({code})",
            "Code：{code}。有効",
            "验证码{code}，请勿泄露",
            "Ringe 112, {code}",
            "{code}, e.g. on the S.p.A. page",
            "{code} me@home",
            "{code}, 25.00 EUR",
        ],
    )
    def test_what_is_not(self, template: str) -> None:
        assert CODE in render(Messages(templates={"en": template}))

    def test_more_segments_when_asked_for(self) -> None:
        long = {"en": "{code} " + "x " * 150}
        assert segments(render(Messages(templates=long, max_segments=3))).parts == 2 + 1
        with pytest.raises(ConfigurationError, match="takes 3 segments"):
            Messages(templates=long, max_segments=2)
        with pytest.raises(ConfigurationError, match="140 bytes"):
            Messages(templates=long, max_segments=3, app_hash="FA+9qCX9VSu")

    def test_the_longest_lifetime_word_counts(self) -> None:
        fits_in_minutes = "{code} {lifetime}" + "x" * (160 - len(f"{CODE} 10 minutes"))
        assert Messages(templates={"en": fits_in_minutes})
        with pytest.raises(ConfigurationError, match="takes 2"):
            Messages(templates={"en": fits_in_minutes + "x"})

    @pytest.mark.parametrize(
        ("tag", "said"),
        [
            ("xx", "Not 'xx'"),
            ("", "Not ''"),
            (5, "Not 5"),
            (None, "Not None"),
            ("en-US", "'en-US' would be used for all of 'en'"),
            ("de_AT", "all of 'de'"),
            ("zh-TW", "all of 'zh-Hant'"),
            ("nn", "all of 'nb'"),
        ],
    )
    def test_only_languages_that_there_are(self, tag: Any, said: str) -> None:
        with pytest.raises(ConfigurationError, match=r"by language tag \(ar, bg, ") as caught:
            Messages(templates={tag: "{code}"})
        assert said in str(caught.value)

    @pytest.mark.parametrize(
        ("tag", "locale"),
        [("EN", "en"), ("pt_BR", "pt-BR"), ("PT-br", "pt-BR"), ("ZH_hant", "zh-TW"), ("iw", "he")],
    )
    def test_a_tag_in_any_spelling(self, tag: str, locale: str) -> None:
        assert render(Messages(templates={tag: "= {code}"}), locale=locale) == f"= {CODE}"
        with pytest.raises(ConfigurationError, match="twice"):
            Messages(templates={tag: "{code}", negotiate(tag): "{code}"} | {tag.title(): "{code}"})

    @pytest.mark.parametrize(
        "templates",
        [
            *({"en": given} for given in (5, None, ["{code}"], {5: "{code}"}, {"login": None})),
            {"en": {"login": 5}},
            [("en", "{code}")],
            [],
            5,
            "en",
        ],
        ids=str,
    )
    def test_only_text(self, templates: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"templates.* must be a "):
            Messages(templates=templates)


@pytest.mark.parametrize(
    "options",
    [
        {"brand": ""},
        {"brand": " "},
        {"brand": "Shop 24"},
        {"brand": "Shop ٢"},
        {"brand": "A\nB"},
        {"brand": "A\u2028B"},
        {"brand": "A\u202eB"},
        {"brand": "A\x00B"},
        {"brand": "example.com"},
        {"brand": "www.example"},
        {"origin": "https://example.com"},
        {"origin": "example.com/login"},
        {"origin": "example.com:443"},
        {"origin": "Example.com"},
        {"origin": "example.com\n"},
        {"origin": ""},
        {"origin": "-a.com"},
        {"origin": "münchen.example"},
        {"brand": 5},
        {"origin": 5},
        {"app_hash": 5},
        {"max_segments": 0},
        {"max_segments": "2"},
        {"max_segments": True},
        {"app_hash": ""},
        {"app_hash": "FA+9qCX9VS"},
        {"app_hash": "FA+9qCX9VSuu"},
        {"app_hash": "FA+9qCX9VS="},
        {"app_hash": "FA+9qCX9VSu\n"},
    ],
    ids=ascii,
)
def test_what_a_message_cannot_carry(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Messages(**options)


def test_a_brand_may_be_in_any_script_and_have_braces() -> None:
    for brand in ("S.p.A. & Co", "Банк", "{code}", "B{}", "中文"):
        text = render(Messages(brand=brand))
        assert text.startswith(f"{brand}: {CODE} ")


@pytest.mark.parametrize(
    ("brand", "written"),
    [
        ("Škoda", "Skoda"),
        ("S\u030ckoda", "Skoda"),
        ("Café", "Café"),
        ("Cafe\u0301", "Café"),
        ("Œuvre – Łódź", "OEuvre - Lodz"),
        ("Joe’s “Cafe”", 'Joe\'s "Cafe"'),
        ("Ştefan", "Stefan"),
        ("Đorđe{}", "Dorde{}"),
        ("Ｓｈｏｐ", "Shop"),
    ],
    ids=ascii,
)
def test_a_brand_in_latin_letters_costs_no_second_segment(
    brand: str, written: str, caplog: pytest.LogCaptureFixture
) -> None:
    messages = Messages(brand=brand)
    for tag in TAGS:
        name = unicodedata.normalize("NFC", brand) if tag in UCS2 else written
        for purpose in PURPOSES:
            text = render(messages, locale=tag, purpose=purpose)
            assert segments(text).parts == 1
            assert languages()[tag].prefix.replace("{brand}", name) in text
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("options", "long", "short"),
    [
        ({"brand": "Банк"}, "en", "ru"),
        ({"brand": "中文银行"}, "de", "zh-Hans"),
        ({"brand": "Shop \U0001f600"}, "en", "ru"),
        ({"brand": "A name that is much longer than that of any bank"}, "de", "en"),
        ({"origin": "a-very-long-host.of.some.department.of.example.com"}, "ru", "en"),
    ],
    ids=ascii,
)
def test_a_second_segment_is_said_when_messages_are_made(
    options: dict[str, Any], long: str, short: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "otpverify"):
        messages = Messages(**options)
    (said,) = caplog.messages
    named = re.search(r"in \d+ languages \((.*?)\)", said)
    assert named is not None
    tags = named[1].split(", ")
    assert long in tags
    for tag in TAGS:
        parts = max(
            segments(render(messages, locale=tag, purpose=purpose, ttl_seconds=ttl_seconds)).parts
            for purpose in PURPOSES
            for ttl_seconds in (45, 600)
        )
        assert (parts > 1) == (tag in tags), tag
    assert short not in tags
    caplog.clear()
    assert Messages(**options, templates=dict.fromkeys(tags, "{code}"))
    assert caplog.messages == []
