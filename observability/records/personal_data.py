"""Find personal data in texts by form and check digits: e-mail addresses, phone, card and account numbers, national identifiers.

Only counts come back, never a text. Ids, plain numbers and times are not taken for personal data: a run of digits is no phone number
without a plus sign or the separators of one, and a form with check digits counts only where most texts of that form have right ones.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

FEWEST_TEXTS = 2
"""Texts from which a kind is reported; a single one may be a coincidence."""
FEWEST_RIGHT = 0.5
"""Share of texts of a form whose check digits are right from which they are taken for it. Among random digits one in ten is."""
CARD = re.compile(r"(?<![\w.+-])\d(?:[ -]?\d){12,18}(?![\w.-]?\w)")
ISSUERS = re.compile(r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|6(?:011|5\d\d)\d{12}|35\d{14}")
ACCOUNT = re.compile(r"(?<![\w.+-])[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![\w.-]?\w)")
FRENCH = re.compile(r"(?<![\w.+-])[12] ?\d\d ?(?:0[1-9]|1[0-2]) ?\d\d ?\d{3} ?\d{3} ?\d\d(?![\w.-]?\w)")
ITALIAN = re.compile(r"(?<![\w.-])[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z](?![\w.-]?\w)")
WORTH_READING = re.compile(r"@|(?:\d\D{0,3}){6}")
"""What every form below contains; most texts do not."""
SPANISH_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"


def has_luhn_digit(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812)."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def _is_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return ISSUERS.fullmatch(digits) is not None and len(set(digits)) > 1 and has_luhn_digit(digits)


def has_account_checksum(text: str) -> bool:
    """Whether the check digits of an international bank account number are right (ISO 13616: its number, rearranged, is 1 modulo 97)."""
    digits = re.sub(r"\s", "", text)
    return int("".join(str(int(each, 36)) for each in digits[4:] + digits[:4])) % 97 == 1


def _is_french(text: str) -> bool:
    digits = re.sub(r"\s", "", text)
    return 97 - int(digits[:13]) % 97 == int(digits[13:])


def _is_spanish(text: str) -> bool:
    return SPANISH_LETTERS[int(text[:8]) % 23] == text[8]


def _is_british(text: str) -> bool:
    return re.fullmatch(r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]", re.sub(r"\s", "", text)) is not None


def _is_american(text: str) -> bool:
    return re.fullmatch(r"(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}", text) is not None


FORMS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("e-mail addresses", re.compile(r"(?<![\w.+-])\w[\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"), lambda _: True),
    ("phone numbers", re.compile(r"(?<![\w.+-])\+[1-9]\d{0,2}[ ()-]{0,2}\d(?:[ ()/-]{0,2}\d){6,11}(?![\w.-]?\d)"), lambda _: True),
    ("phone numbers", re.compile(r"(?<![\w.+-])(?:\([2-9]\d\d\) ?|[2-9]\d\d-)[2-9]\d\d-\d{4}(?![\w.-]?\w)"), lambda _: True),
    ("payment card numbers", CARD, _is_card),
    ("bank account numbers", ACCOUNT, has_account_checksum),
    ("national identifiers", re.compile(r"(?<![\w.-])\d{3}-\d\d-\d{4}(?![\w.-]?\w)"), _is_american),
    ("national identifiers", re.compile(r"(?<![\w.-])[A-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-Z](?![\w.-]?\w)"), _is_british),
    ("national identifiers", re.compile(r"(?<![\w.-])\d{8}[A-Z](?![\w.-]?\w)"), _is_spanish),
    ("national identifiers", FRENCH, _is_french),
    ("national identifiers", ITALIAN, lambda _: True),
)
"""Kind, form, and whether a text of that form is one."""


@dataclass(frozen=True)
class PersonalDataCount:
    """How many texts hold personal data of a kind. kind: in words, in the plural."""

    kind: str
    texts: int


def personal_data_counts(texts: Sequence[str]) -> list[PersonalDataCount]:
    """The number of texts with each kind of personal data, most frequent first; kinds with fewer than FEWEST_TEXTS are left out."""
    counts = [PersonalDataCount(kind, len(places)) for kind, places in personal_data_places(texts).items()]
    return sorted(counts, key=lambda count: -count.texts)


def personal_data_places(texts: Sequence[str]) -> dict[str, set[int]]:
    """The places of the texts with each kind of personal data; kinds with fewer than FEWEST_TEXTS are left out."""
    places: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        places.setdefault(text, []).append(place)
    distinct = [text for text in places if WORTH_READING.search(text)]
    found: dict[str, set[int]] = {}
    for kind, form, is_one in FORMS:
        hits = [(text, is_one(match[0])) for text in distinct for match in form.finditer(text)]
        if sum(good for _, good in hits) >= FEWEST_RIGHT * len(hits):
            found.setdefault(kind, set()).update(place for text, good in hits if good for place in places[text])
    return {kind: of_kind for kind, of_kind in found.items() if len(of_kind) >= FEWEST_TEXTS}
