"""Recognize national identifiers by form and check digits: those of the United States, Canada, Brazil, China and eleven European
countries.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Check = Callable[[str], bool | None]
"""A function of a text that matches a form, without spaces and separators. It returns whether the check digits are right, or None if the
text turns out not to have the form (it contains no valid date, for example).
"""
END = r"(?![\w.-]?\w)"
START = r"(?<![\w.+-])"
CONTROL_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
ODD_PLACES = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
FINNISH_SIGNS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
CHINESE_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@dataclass(frozen=True)
class IdentifierForm:
    """One form of identifier. country, rule: the country and its rule, in words. chance: share of other texts with this form whose check
    digits are right by chance. least: share of a column's texts with this form that must have right check digits; above 1: they count only
    if there are more of them than chance explains.
    """

    country: str
    rule: str
    pattern: re.Pattern[str]
    check: Check
    chance: float
    least: float = 0.5


def has_luhn_digit(digits: str) -> bool:
    """Whether the last digit is the right check digit for the other digits (ISO/IEC 7812)."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def _weighted(digits: str, weights: Iterable[int]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def _is_day(month: str, day: str) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31


def _american(text: str) -> bool:
    return re.fullmatch(r"(?!000|666|9\d\d)\d{3}(?!00)\d\d(?!0000)\d{4}", text) is not None


def _british(text: str) -> bool:
    return re.fullmatch(r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]", text) is not None


def _spanish(text: str) -> bool:
    number = text[:-1].translate({ord("X"): "0", ord("Y"): "1", ord("Z"): "2"})
    return CONTROL_LETTERS[int(number) % 23] == text[-1]


def _french(text: str) -> bool:
    number = int(text[:13].replace("2A", "19").replace("2B", "18"))
    return 97 - number % 97 == int(text[13:])


def _italian(text: str) -> bool:
    values = [int(sign) if sign.isdigit() else ord(sign) - ord("A") for sign in text[:15]]
    total = sum(value if place % 2 else ODD_PLACES[value] for place, value in enumerate(values))
    return chr(ord("A") + total % 26) == text[15]


def _german(text: str) -> bool | None:
    if max(text[:10].count(digit) for digit in set(text[:10])) not in (2, 3):
        return None
    product = 10
    for digit in text[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(text[10])


def _swiss(text: str) -> bool:
    return _weighted(text, (1, 3) * 6 + (1,)) % 10 == 0


def _dutch(text: str) -> bool:
    return _weighted(text, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def _belgian(text: str) -> bool:
    return int(text[9:]) in (97 - int(text[:9]) % 97, 97 - int("2" + text[:9]) % 97)


def _polish(text: str) -> bool | None:
    if not _is_day(str(int(text[2:4]) % 20), text[4:6]):
        return None
    return _weighted(text, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def _swedish(text: str) -> bool | None:
    digits = text[-10:]
    return has_luhn_digit(digits) if _is_day(digits[2:4], str(int(digits[4:6]) % 60)) else None


def _finnish(text: str) -> bool | None:
    digits = re.sub(r"\D", "", text[:-1])
    return FINNISH_SIGNS[int(digits) % 31] == text[-1] if _is_day(text[2:4], text[:2]) else None


def _brazilian(text: str) -> bool:
    return all(_weighted(text[:place], range(place + 1, 1, -1)) * 10 % 11 % 10 == int(text[place]) for place in (9, 10))


def _chinese(text: str) -> bool | None:
    if text[6:8] not in ("19", "20") or not _is_day(text[10:12], text[12:14]):
        return None
    return "10X98765432"[_weighted(text, CHINESE_WEIGHTS) % 11] == text[17]


def _canadian(text: str) -> bool | None:
    return None if text[0] in "08" else has_luhn_digit(text)


def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(START + "(?:" + pattern + ")" + END, re.IGNORECASE)


IDENTIFIERS = (
    IdentifierForm(
        "United States", "groups of a social security number, no check digit", _form(r"\d{3}-\d\d-\d{4}"), _american, 0.88, 0.98
    ),
    IdentifierForm(
        "United States",
        "nine digits after “SSN” or “social security”",
        re.compile(r"(?<!\w)(?:SSN|social security(?: number| no\.?)?)\W{0,4}\d{3}[ -]?\d\d[ -]?\d{4}" + END, re.IGNORECASE),
        _american,
        0.88,
        0.98,
    ),
    IdentifierForm(
        "United Kingdom", "prefix and suffix of a National Insurance number", _form(r"[A-Z]{2} ?(?:\d\d ?){3}[A-Z]"), _british, 0.1
    ),
    IdentifierForm("Spain", "control letter of a DNI or NIE", _form(r"(?:\d|[XYZ]-?)\d{7}-?[A-Z]"), _spanish, 1 / 23),
    IdentifierForm(
        "France",
        "key of a social security number",
        _form(r"[12] ?\d\d ?(?:0[1-9]|1[0-2]) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d"),
        _french,
        1 / 97,
    ),
    IdentifierForm("Italy", "control letter of a codice fiscale", _form(r"[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z]"), _italian, 1 / 26),
    IdentifierForm("Belgium", "check digits of a national number", _form(r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d"), _belgian, 2 / 97),
    IdentifierForm("Switzerland", "check digit of an AHV number", _form(r"756\.\d{4}\.\d{4}\.\d\d|756\d{10}"), _swiss, 0.1),
    IdentifierForm("Brazil", "check digits of a CPF", _form(r"\d{3}\.\d{3}\.\d{3}-\d\d"), _brazilian, 0.01),
    IdentifierForm("Finland", "check sign of a personal identity code", _form(r"\d{6}[-+A]\d{3}[\dA-Y]"), _finnish, 1 / 31),
    IdentifierForm("Sweden", "date and check digit of a personnummer", _form(r"(?:19|20)?\d{6}[-+]\d{4}"), _swedish, 0.1),
    IdentifierForm("China", "date and check digit of a resident number", _form(r"[1-6]\d{16}[\dX]"), _chinese, 1 / 11),
    IdentifierForm("Canada", "check digit of a social insurance number", _form(r"\d{3}([ -])\d{3}\1\d{3}"), _canadian, 0.1),
    IdentifierForm("Poland", "date and check digit of a PESEL", _form(r"\d{11}"), _polish, 0.1, 2.0),
    IdentifierForm("Germany", "check digit of a tax number (IdNr)", _form(r"[1-9]\d{10}|[1-9]\d \d{3} \d{3} \d{3}"), _german, 0.1, 2.0),
    IdentifierForm("Netherlands", "check digit of a BSN", _form(r"\d{9}"), _dutch, 1 / 11, 2.0),
)
"""Forms of plain digits come last, so that a text that also has another form counts as that form."""


def identifier_check(form: IdentifierForm) -> Callable[[re.Match[str]], bool | None]:
    """A function that checks a match of the form's pattern."""
    kept = r"[^0-9A-Z+-]" if form.country == "Finland" else r"[^0-9A-Z]"

    def check(match: re.Match[str]) -> bool | None:
        text = match[0].upper() if form.chance < 0.5 else re.sub(r"[^0-9]", "", match[0])
        return form.check(re.sub(kept, "", text))

    return check
