"""Tests of the search for personal data in texts: what has its form and check digits is counted, ids, numbers and times are not."""

import random
import uuid

import pytest

from observability.records.personal_data import has_luhn_digit, personal_data_counts


def found(texts: list[str]) -> dict[str, int]:
    return {count.kind: count.texts for count in personal_data_counts(texts)}


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
def test_each_kind_is_counted_by_texts(kind: str, texts: list[str]) -> None:
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


def test_the_check_digit_of_a_card() -> None:
    assert has_luhn_digit("79927398713") and not any(has_luhn_digit(f"7992739871{digit}") for digit in "012456789")
