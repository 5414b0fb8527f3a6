"""Tests of the search for personal data in texts: texts with the right form and check digits count; ids, numbers and times do not."""

import random
import uuid

import pytest

from observability.records.national_identifiers import has_luhn_digit
from observability.records.personal_data import personal_data_counts, texts_of_kinds


def found(texts: list[str]) -> dict[str, int]:
    return {kind: len(places) for kind, places in texts_of_kinds(personal_data_counts(texts)).items()}


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("e-mail addresses", ["write to ann.lee+x@mail.example.org, please", "(bob@example.co.uk)", "no address"]),
        ("phone numbers", ["call +44 20 7946 0958 today", "tel. +1 (415) 555-2671", "nothing"]),
        ("phone numbers", ["(415) 555-2671", "call 415-555-2671."]),
        ("payment card numbers", ["card 4111 1111 1111 1111.", "5500-0000-0000-0004", "378282246310005 expired"]),
        ("national identifiers", ["SSN 078-05-1120", "it is 219-09-9999"]),
        ("national identifiers", ["AB 12 34 56 C", "CE123456D"]),
        ("national identifiers", ["12345678Z", "DNI 00000000T"]),
    ],
)
def test_each_kind_of_personal_data_is_counted_by_texts(kind: str, texts: list[str]) -> None:
    wanted = sum(word not in ("no address", "nothing") for word in texts)
    assert found([*texts, "", "plain words"]) == {kind: wanted}


def test_a_text_counts_once_and_a_single_text_is_not_reported() -> None:
    assert found(["a@example.org b@example.org", "c@example.org"]) == {"e-mail addresses": 2}
    assert found(["a@example.org"]) == {}


NUMBERS = random.Random(7)


@pytest.mark.parametrize(
    "texts",
    [
        [str(uuid.UUID(int=NUMBERS.getrandbits(128))) for _ in range(3000)],
        [f"{NUMBERS.getrandbits(128):032x}" for _ in range(3000)],
        [str(NUMBERS.randrange(10**15, 10**16)) for _ in range(3000)],
        [f"4{NUMBERS.randrange(10**15):015}" for _ in range(3000)],
        [f"{NUMBERS.randrange(10**8):08}{NUMBERS.choice('ABCDEFGHJKLMNPQRSTVWXYZ')}" for _ in range(3000)],
        [
            f"{NUMBERS.choice('ABCQZ')}{NUMBERS.choice('DFIQUV')}{NUMBERS.randrange(10**6):06}{NUMBERS.choice('AEFGHJ')}"
            for _ in range(3000)
        ],
        [f"2013-07-{day:02}T10:00:{day:02}.123456+02:00" for day in range(1, 29)],
        [f"2013-07-{day:02} 10:00:00" for day in range(1, 29)] + ["01/07/2013", "10:00", "1372672800", "1372672800000000"],
        [f"{NUMBERS.gauss(0, 1e6):+.6f}" for _ in range(3000)] + ["+1.5e10", "1,234,567,890", "12345678901234"],
        [f"{NUMBERS.randrange(10**10)}" for _ in range(3000)],
        ["20130504-JFK-DL95", "N535JB", "192.168.100.200", "10.0.0.1:8080", "v1.2.3-rc4", "978-3-16-148410-0"] * 50,
        ["@mention", "a@b", "user@localhost", "x @ y.z", "price @ 3.50"] * 50,
    ],
    ids=[
        "uuid",
        "hash",
        "digits",
        "digits like cards",
        "digits and letter",
        "letters and digits",
        "times",
        "dates",
        "numbers",
        "ten digits",
        "codes",
        "at signs",
    ],
)
def test_ids_numbers_and_times_are_not_personal_data(texts: list[str]) -> None:
    assert found(texts) == {}


def test_the_check_digit_of_a_card_number_is_verified() -> None:
    assert has_luhn_digit("79927398713") and not any(has_luhn_digit(f"7992739871{digit}") for digit in "012456789")


EMAIL, PHONE, CARD, ACCOUNT, IDENTIFIER = (
    "e-mail addresses",
    "phone numbers",
    "payment card numbers",
    "bank account numbers",
    "national identifiers",
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        # e-mail addresses
        ("ANN.LEE@EXAMPLE.ORG", EMAIL),
        ("mailto:ann@example.org?subject=x", EMAIL),
        ("Ann Lee <ann@example.org>; ben", EMAIL),
        ("ann o'neil: o'neil@example.ie", EMAIL),
        ("jürgen@müller.de", EMAIL),
        ("ann (at) example (dot) org", EMAIL),
        ("ann[at]mail.example.org", EMAIL),
        ("ann\u200b@example.org", EMAIL),
        ("ａｎｎ＠ｅｘａｍｐｌｅ．ｏｒｇ", EMAIL),
        ("icon@2x.png and logo@3x.foo.svg", None),
        ("lodash@4.17.21-rc.beta", None),
        ("git@github.com:org/repo.git", None),
        ("https://user:secret@db.example.com/path", None),
        ("https://user:secret@db.example.com", None),
        ("@ann@mastodon.social", None),
        ("meet (at) noon. Then home", None),
        # phone numbers
        ("+442079460958", PHONE),
        ("+1.415.555.2671", PHONE),
        ("+49 (0)171/1234567", PHONE),
        ("+33\u00a06\u00a012\u00a034\u00a056\u00a078", PHONE),
        ("+44\u201120\u20117946\u20110958", PHONE),
        ("+٤٤ ٢٠ ٧٩٤٦ ٠٩٥٨", PHONE),
        ("＋４４ ２０ ７９４６ ０９５８", PHONE),
        ("0041 44 668 18 00", PHONE),
        ("0049-171-1234567", PHONE),
        ("1-800-555-0199", PHONE),
        ("415.555.2671", PHONE),
        ("06 12 34 56 78", PHONE),
        ("06.12.34.56.78", PHONE),
        ("020 7946 0958", PHONE),
        ("(020) 7946 0958", PHONE),
        ("07911 123456", PHONE),
        ("Tel.: 0171 1234567", PHONE),
        ("Telefon 030/1234567", PHONE),
        ('{"phone_number": "4155552671"}', PHONE),
        ("mobile no. 98765 43210", PHONE),
        ("order 0123-456789", None),
        ("order 4155552671", None),
        ("phone call on 2013-07-04 10:00", None),
        ("phone: 2013-07-04 10:00:00", None),
        ("phone 192.168.100.200", None),
        ("+52.520008, +13.404954", None),
        ("52.520008 -13.404954", None),
        ("2013-07-04T10:00:00.123456+0200", None),
        ("01-07-2013 10:00", None),
        ("+1234567.89", None),
        ("telephoned 1234567890 times", None),
        ("00:41:44.668", None),
        # payment cards
        ("4111 1111 1111 1111 12/26 123", CARD),
        ("4111 1111 1111 1111 123", CARD),
        ("4111-1111-1111-1111", CARD),
        ("3782 822463 10005", CARD),
        ("4111\u00a01111\u00a01111\u00a01111", CARD),
        ("４１１１１１１１１１１１１１１１", CARD),
        ("6200 0000 0000 0005", CARD),
        ("4111 1111 1111 1112", None),
        ("1372672800000000", None),
        ("20130704101500123", None),
        ("0000 0000 0000 0000", None),
        ("9e4111111111111111aa", None),
        ("id-4111111111111111", None),
        # bank accounts
        ("de89 3704 0044 0532 0130 00", ACCOUNT),
        ("DE89-3704-0044-0532-0130-00", ACCOUNT),
        ("IBAN:CH9300762011623852957.", ACCOUNT),
        ("CZ65 0800 0000 1920 0014 5399 PAID IN CASH", ACCOUNT),
        ("NO93 8601 1117 947", ACCOUNT),
        ("DE89 3704 0044 0532 0130 01", None),
        ("AB12CDEF3456GHIJ7890", None),
        # national identifiers
        ("SSN: 078051120", IDENTIFIER),
        ("social security number 078 05 1120", IDENTIFIER),
        ("humidity 078051120", None),
        ("900-12-3456", None),
        ("000-12-3456", None),
        ("X1234567L", IDENTIFIER),
        ("12345678-Z", IDENTIFIER),
        ("rssmra85t10a562s", IDENTIFIER),
        ("RSSMRA85T10A562T", None),
        ("2 69 05 2A 588 157 61", None),
        ("756.9217.0769.85", IDENTIFIER),
        ("756.9217.0769.86", None),
        ("529.982.247-25", IDENTIFIER),
        ("529.982.247-26", None),
        ("811218-9876", IDENTIFIER),
        ("20130704-1015", None),
        ("131052-308T", IDENTIFIER),
        ("11010519491231002X", IDENTIFIER),
        ("85.07.30-033.28", IDENTIFIER),
        ("130 692 544", IDENTIFIER),
        ("046 454 286", None),
        ("123 456 789", None),
        ("AA 12 34 56 A", IDENTIFIER),
        ("BG 12 34 56 A", None),
    ],
)
def test_identifier_formats_of_many_countries_are_recognised(text: str, kind: str | None) -> None:
    assert list(found([text, f"see {text}"])) == ([] if kind is None else [kind])


def test_each_kind_of_personal_data_names_the_rule_that_found_it() -> None:
    counts = personal_data_counts(["DE89370400440532013000", "RSSMRA85T10A562S", "12345678Z", "GB82 WEST 1234 5698 7654 32"])
    assert [(count.kind, count.why, count.texts) for count in counts] == [
        ("bank account numbers", "IBAN: length of its country and check digits (ISO 13616)", 2),
        ("national identifiers", "Italy: control letter of a codice fiscale", 1),
        ("national identifiers", "Spain: control letter of a DNI or NIE", 1),
    ]


def test_bare_digit_identifiers_count_only_if_chance_does_not_explain_them() -> None:
    dutch = [f"{number:09}" for number in range(123_000_000, 123_000_200) if _is_bsn(f"{number:09}")]
    assert found(dutch) == {IDENTIFIER: len(dutch)} and len(dutch) > 6
    assert found(dutch[:3]) == {}, "three nine-digit numbers may pass the check by chance"
    assert found([str(number) for number in range(123_000_000, 123_000_200)]) == {}, "one in eleven passes the check by chance"


def test_real_cards_are_found_among_many_other_long_numbers() -> None:
    times = [f"{1372672800000000 + 1_000_003 * place}" for place in range(500)]
    assert found([*times, "4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005"]) == {CARD: 3}
    orders = [f"4{NUMBERS.randrange(10**15):015}" for _ in range(300)]
    cards = [
        number + next(digit for digit in "0123456789" if has_luhn_digit(number + digit))
        for number in (f"4{place:014}" for place in range(300))
    ]
    assert found([*orders, *cards])[CARD] >= 300, "half of them pass the check, which chance does not explain"


def _is_bsn(text: str) -> bool:
    return sum(int(digit) * weight for digit, weight in zip(text, (9, 8, 7, 6, 5, 4, 3, 2, -1), strict=True)) % 11 == 0
