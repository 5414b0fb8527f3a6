"""Find personal data in texts by form and check digits: e-mail addresses, phone numbers, payment cards, national identifiers.

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
SPANISH_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"


def has_luhn_digit(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812)."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def _is_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return ISSUERS.fullmatch(digits) is not None and len(set(digits)) > 1 and has_luhn_digit(digits)


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
    ("national identifiers", re.compile(r"(?<![\w.-])\d{3}-\d\d-\d{4}(?![\w.-]?\w)"), _is_american),
    ("national identifiers", re.compile(r"(?<![\w.-])[A-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-Z](?![\w.-]?\w)"), _is_british),
    ("national identifiers", re.compile(r"(?<![\w.-])\d{8}[A-Z](?![\w.-]?\w)"), _is_spanish),
)
"""Kind, form, and whether a text of that form is one."""


@dataclass(frozen=True)
class PersonalDataCount:
    """How many texts hold personal data of a kind. kind: in words, in the plural."""

    kind: str
    texts: int


def personal_data_counts(texts: Sequence[str]) -> list[PersonalDataCount]:
    """The number of texts with each kind of personal data, most frequent first; kinds with fewer than FEWEST_TEXTS are left out."""
    found: dict[str, set[int]] = {}
    for kind, form, is_one in FORMS:
        hits = [(place, is_one(match[0])) for place, text in enumerate(texts) for match in form.finditer(text)]
        right = {place for place, good in hits if good}
        if sum(good for _, good in hits) >= FEWEST_RIGHT * len(hits):
            found.setdefault(kind, set()).update(right)
    counts = [PersonalDataCount(kind, len(places)) for kind, places in found.items() if len(places) >= FEWEST_TEXTS]
    return sorted(counts, key=lambda count: -count.texts)
