"""Find personal data in texts by form and check digits: e-mail addresses, phone, card and account numbers, national identifiers.

The functions return counts and reasons, never a text. Ids, plain numbers, times and coordinates do not count as personal data. Digits count
as a phone number only with a plus sign, the separators of a phone number, or a word such as “phone” before them. A form with check digits
counts only if most texts of that form have right check digits, or more texts than chance explains.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from observability.records.national_identifiers import END, IDENTIFIERS, START, has_luhn_digit, identifier_check

MIN_TEXTS = 2
"""A kind is reported from this number of texts on, because a single text may be a coincidence."""
RARE = 1e-6
"""Right check digits do not count as chance if the probability of so many is below this."""
EMAILS, PHONES, CARDS = "e-mail addresses", "phone numbers", "payment card numbers"
ACCOUNTS, IDENTIFIED = "bank account numbers", "national identifiers"
WORTH_READING = re.compile(r"@|[(\[]at[)\]]|(?:\d\D{0,3}){6}", re.IGNORECASE)
"""Every form below contains such characters; most texts do not, so they need not be examined."""
SIGNS = dict.fromkeys((*range(0x2010, 0x2016), 0x2212), "-") | dict.fromkeys(
    (*range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060, 0xFEFF)
)
"""Characters that are replaced or removed: dashes that look like a hyphen, and invisible characters."""
FILES = "png|jpe?g|gif|svg|webp|ico|css|scss|jsx?|tsx?|py|json|html?|csv|txt|pdf|xml|ya?ml|md|zip|gz|whl|jar"
"""Endings of file names; no domain ends like this."""
ISSUERS = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|6(?:011|5\d\d)\d{12}|35\d{14}|62\d{14,17}"
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{9,15}"
)
ACCOUNT_LENGTHS = {
    country: int(length)
    for country, length in re.findall(
        r"([A-Z]{2})(\d\d)",
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 "
        "GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 "
        "MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20",
    )
}
APART = START + r"(?<!\d[ -])"
"""The match must not begin in the middle of groups of digits."""
PHONE_WORDS = r"tel|phone|telephone|telefon|téléphone|telefono|teléfono|mobile|mobil|handy|fax|whatsapp"

Check = Callable[[re.Match[str]], bool | None]


@dataclass(frozen=True)
class PersonalForm:
    """One form of personal data. why: what such a text has, in words. check: whether its check digits are right; None: the text does not
    have the form. chance, least: as in `IdentifierForm`.
    """

    kind: str
    why: str
    pattern: re.Pattern[str]
    check: Check = lambda _: True
    chance: float = 1.0
    least: float = 0.0


def _has_right_digits_of_card(match: re.Match[str]) -> bool | None:
    """Whether the issuer and the check digit of a card number are right. The digits of a security code may follow the number."""
    digits = re.sub(r"\D", "", match[0])
    of_issuer = [part for part in (digits, digits[:16]) if ISSUERS.fullmatch(part) and len(set(part)) > 1]
    return any(map(has_luhn_digit, of_issuer)) if of_issuer else None


def _has_right_digits_of_account(match: re.Match[str]) -> bool | None:
    """Whether an account number has the length that its country requires, and right check digits. Words may follow the number."""
    signs = re.sub(r"[ -]", "", match[0]).upper()
    length = ACCOUNT_LENGTHS.get(signs[:2])
    return has_account_checksum(signs[:length]) if length is not None and len(signs) >= length else None


def has_account_checksum(text: str) -> bool:
    """Whether the check digits of an international bank account number are right (ISO 13616: the rearranged number is 1 modulo 97)."""
    signs = re.sub(r"\s", "", text)
    return int("".join(str(int(each, 36)) for each in signs[4:] + signs[:4])) % 97 == 1


def _is_in_no_address(match: re.Match[str]) -> bool | None:
    """True if the match is not the user and password in a web address; else None."""
    return None if re.search(r"://[^\s/]*$", match.string[: match.start()]) else True


def _has_digits_of_phone(match: re.Match[str]) -> bool | None:
    """True if the match has nine to eleven digits, as phone numbers have; else None."""
    return True if 9 <= len(re.sub(r"\D", "", match[0])) <= 11 else None


LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
FORMS = (
    PersonalForm(
        EMAILS,
        "form name@domain",
        re.compile(
            rf"(?<![\w.+@-])\w[\w.+%'-]{{0,63}}@(?!\d+\.\d)(?:{LABEL}\.){{1,8}}(?!(?:{FILES})(?!\w))[^\W\d_]{{2,24}}(?![\w@-]|[.:/][\w/])",
            re.IGNORECASE,
        ),
        _is_in_no_address,
    ),
    PersonalForm(
        EMAILS,
        "form name (at) domain (dot) ending",
        re.compile(
            rf"(?<![\w.+-])\w[\w.+-]{{0,63}} ?[(\[]at[)\]] ?(?:{LABEL}(?:\.| ?[(\[]dot[)\]] ?)){{1,4}}[a-z]{{2,24}}\b", re.IGNORECASE
        ),
    ),
    PersonalForm(
        ACCOUNTS,
        "IBAN: length of its country and check digits (ISO 13616)",
        re.compile(START + r"[A-Z]{2}\d\d(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?(?!\w)", re.IGNORECASE),
        _has_right_digits_of_account,
        1 / 97,
        0.5,
    ),
    *(
        PersonalForm(IDENTIFIED, f"{form.country}: {form.rule}", form.pattern, identifier_check(form), form.chance, form.least)
        for form in IDENTIFIERS
    ),
    PersonalForm(
        CARDS,
        "digits of an issuer and check digit (Luhn)",
        re.compile(START + r"(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|3\d{3}([ -])\d{6}\2\d{5})" + END),
        _has_right_digits_of_card,
        0.1,
        0.5,
    ),
    PersonalForm(PHONES, "+ and country code", re.compile(START + r"\+[1-9]\d{0,2}[ ()-]{0,2}\d(?:[ ()/-]{0,2}\d){6,11}(?![\w.-]?\d)")),
    PersonalForm(PHONES, "+ and country code", re.compile(START + r"\+[1-9]\d{0,2}(?:\.\d{2,4}){2,5}" + END)),
    PersonalForm(PHONES, "00 and country code", re.compile(APART + r"00[1-9]\d{0,2}[ /-]\d(?:[ /-]?\d){6,11}" + END)),
    PersonalForm(
        PHONES,
        "North America: groups of 3, 3 and 4 digits",
        re.compile(APART + r"(?:1[ .-])?(?:\([2-9]\d\d\) ?[2-9]\d\d-|[2-9]\d\d([-.])[2-9]\d\d\1)\d{4}" + END),
    ),
    PersonalForm(PHONES, "France: five pairs of digits after 0", re.compile(APART + r"0[1-9]([ .])\d\d(?:\1\d\d){3}" + END)),
    PersonalForm(
        PHONES,
        "United Kingdom: 0, area and groups of digits",
        re.compile(APART + r"\(?0(?:[12]\d{1,3}|3\d\d|7\d{3})\)? (?:\d{3,4} \d{3,4}|\d{6})" + END),
        _has_digits_of_phone,
    ),
    PersonalForm(
        PHONES,
        "digits after a word for a phone",
        re.compile(
            rf"(?<!\w)(?:{PHONE_WORDS})(?:[ _]?(?:number|no|nr))?(?!\w)[^\w+]{{0,6}}"
            rf"(?!\d{{4}}-\d\d-\d\d|\d\d?[./]\d\d?[./]\d|\d{{1,3}}\.\d{{1,3}}\.)"
            rf"\(?\d(?:[ ()./-]{{0,2}}\d){{6,13}}{END}",
            re.IGNORECASE,
        ),
    ),
)
"""The forms are tried in this order. Characters that one form has matched are not available to later forms."""


@dataclass(frozen=True)
class PersonalDataCount:
    """How many texts hold personal data of one kind, for one reason. kind: in words, in the plural. places: positions of these texts."""

    kind: str
    why: str
    places: frozenset[int]

    @property
    def texts(self) -> int:
        """The number of texts that hold such data."""
        return len(self.places)


def personal_data_counts(texts: Sequence[str]) -> list[PersonalDataCount]:
    """For each kind of personal data and each reason, the texts that hold it, most frequent first. Kinds with fewer than MIN_TEXTS texts
    are left out.
    """
    places: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        places.setdefault(text, []).append(place)
    left = {text: plain for text in places if WORTH_READING.search(plain := plain_signs(text))}
    found: dict[tuple[str, str], set[int]] = {}
    for form in FORMS:
        matches = [
            (text, match, right)
            for text, plain in left.items()
            for match in form.pattern.finditer(plain)
            if (right := form.check(match)) is not None
        ]
        if not _is_no_chance(form, sum(right for _, _, right in matches), len(matches)):
            continue
        for text, match, right in reversed(matches):  # from the end of each text, so that the places of earlier matches stay valid
            if right:
                found.setdefault((form.kind, form.why), set()).update(places[text])
                left[text] = left[text][: match.start()] + "\ufffd" + left[text][match.end() :]
    of_kind: dict[str, set[int]] = {}
    for (kind, _), held in found.items():
        of_kind.setdefault(kind, set()).update(held)
    counts = [PersonalDataCount(kind, why, frozenset(held)) for (kind, why), held in found.items() if len(of_kind[kind]) >= MIN_TEXTS]
    return sorted(counts, key=lambda count: (-len(of_kind[count.kind]), count.kind, -count.texts, count.why))


def texts_of_kinds(counts: Sequence[PersonalDataCount]) -> dict[str, set[int]]:
    """For each kind, the positions of its texts (for any reason), in the order of the counts."""
    found: dict[str, set[int]] = {}
    for count in counts:
        found.setdefault(count.kind, set()).update(count.places)
    return found


def plain_signs(text: str) -> str:
    """A text in which digits, spaces and dashes of other scripts and widths are replaced by ASCII ones, without invisible characters."""
    if text.isascii():
        return text
    return re.sub(r"\d", lambda digit: str(int(digit[0])), unicodedata.normalize("NFKC", text).translate(SIGNS))


def _is_no_chance(form: PersonalForm, right: int, of_form: int) -> bool:
    """Whether texts of a form really are identifiers. Enough of them must have right check digits, or more than chance explains (Chernoff's
    bound).
    """
    if not right:
        return False
    share = right / of_form
    if share >= form.least:
        return True
    if share <= form.chance:
        return False
    rest = 0.0 if share == 1 else (1 - share) * math.log((1 - share) / (1 - form.chance))
    return of_form * (share * math.log(share / form.chance) + rest) >= -math.log(RARE)
