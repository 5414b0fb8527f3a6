"""Finds texts in requests that are oversized or that give instructions to a language model.

A categorical feature with a reference is compared with its reference. Any other text is compared with the texts of the same model in the
weeks before or, if there are too few, with a fixed limit. Such a text is a field that is not a feature, a feature without a reference, or a
question to a language model.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import bdtrc

from observability.core.json_values import stored_json
from observability.detection.call_drift import is_of_answers
from observability.detection.live_guard import FALSE_ALARM, NOT_NAMED, GuardClaim
from observability.stats.arrays import Array, Bools, Floats
from observability.stats.interval import rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

LONGEST, LONGER, DEVIATIONS = 500, 4, 6
"""A text is oversized if it has more characters than the first number, is more than the second number of times as long as the longest
earlier text, and the logarithm of its length is more than the third number of standard deviations above the mean. The last condition is
needed because the longest of few texts is not a reliable limit.
"""
FIXED_LIMIT = 20_000
"""Without enough earlier texts, a text is oversized if it has more characters than this."""
MIN_PAST, MIN_TEXTS = 100, 100
"""Minimum number of earlier texts for a comparison; minimum number of texts in the window for the verdict that nothing is odd."""
MAYBE = 0.001
"""If texts with instructions became more frequent with a p-value of at most this (but are not significant), it is unknown whether their
share is usual.
"""
MAX_FIELDS = 200
"""Maximum number of other fields of records that are searched; the fields that appear first are used."""
READ = 20_000
"""Number of characters of one request that are kept, over all other fields together. Of the rest, only its length is kept, and any
instruction found in it.
"""
MIN_APART = 2
"""A sender is unusual only if it sent at least this many odd texts: among many honest senders, one always sends the longest text of
a week.
"""
FURTHER = "extra (further fields)"
"""Name for the texts of all fields beyond MAX_FIELDS."""
TOKENS = "feature.input_tokens"
"""Column with the size of a question to a language model, for use if the text of the question is not logged."""
OVERRIDE = re.compile(
    r"ignore (?:all |any )?(?:previous|prior|above)|disregard (?:all|any|the) |system prompt|<\|[a-z_]+\|>|\[/?inst\]|</?system>|"
    r"jailbreak|begin new (?:chat|task)",
    re.IGNORECASE,
)
"""Instructions that try to replace those of a language model."""
ROLE = re.compile(r"(?:^|[.!?:;\n\"'(])[^\S\n]{0,8}(?:(?:please|now|and|then),? ){0,4}(?:you are now|act as (?:a|an|if))\b", re.IGNORECASE)
"""A role that is given to a language model at the start of a sentence. Inside a sentence ("hope you are now at home") such words are
normal. Each repetition in the pattern is limited, so that the time to search a text grows only with its length.
"""
WORDS = {
    OVERRIDE: ("ignore ", "disregard ", "system prompt", "<|", "inst]", "system>", "jailbreak", "begin new "),
    ROLE: ("you are now", "act as "),
}
"""Words of which every match of a pattern contains one; a long text is searched only around them."""
AROUND = 100
"""Maximum number of characters of a match before such a word, and after it."""


@dataclass(frozen=True)
class OddTexts:
    """What is odd about the texts of some requests.

    claims: at most one for each check. texts: number of requests with a text of several words for which there is no reference; or with a
    text of a registered feature, if some texts of this feature give instructions to a language model but no claim is made. usual: number of
    these texts that give instructions, but not significantly more often than before. more: number that probably do so more often (MAYBE).
    unjudged: number that give instructions but have too few earlier texts for a comparison. fixed: whether the fixed limit applied to a
    column, because it had too few earlier texts.
    """

    claims: tuple[GuardClaim, ...] = ()
    texts: int = 0
    usual: int = 0
    more: int = 0
    unjudged: int = 0
    fixed: bool = False


class CutText(str):
    """The first characters of a text. characters: the length of the whole text."""

    __slots__ = ("characters",)
    characters: int


def joined_cut_texts(texts: Sequence[str]) -> CutText:
    """Several texts joined to one; its `characters` also count those that were cut from each text."""
    joined = CutText("\n".join(texts))
    joined.characters = sum(getattr(text, "characters", len(text)) for text in texts)
    return joined


def cut_text(text: str, most: int) -> str:
    """The text, or if it has more than `most` characters, its first characters, followed by the instructions that only the rest
    contains.
    """
    if len(text) <= most:
        return text
    lost = [found[0] for kind in (OVERRIDE, ROLE) if not kind.search(text, 0, most) and (found := first_instruction(kind, text))]
    cut = CutText("\n".join([text[:most], *lost]))
    cut.characters = len(text)
    return cut


def joined_texts(value: object) -> Iterator[str]:
    """Yield a text, or every text inside a list or an object; empty texts are left out."""
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from joined_texts(each)


def other_texts(rows: "DataFrame") -> dict[str, Array]:
    """The texts of fields that records do not define, by `extra.NAME`; None for a request without one. Fields about answers are left out.

    At most READ characters of a request are kept, plus the instructions found in the rest of each field; shorter fields have priority over
    longer ones. All fields beyond MAX_FIELDS are joined to one text.
    """
    found: dict[str, Array] = {}
    for place, extra in enumerate(rows["extra"]):
        body = stored_json(extra) if isinstance(extra, str) else None
        given = body.items() if isinstance(body, dict) else ()
        texts = {name: text for name, value in given if not is_of_answers(name) and (text := "\n".join(joined_texts(value)))}
        kept = {name: cut_text(text, most) for name, text, most in kept_lengths(texts)}
        further = []
        for name in texts:
            if f"extra.{name}" in found or len(found) < MAX_FIELDS:
                found.setdefault(f"extra.{name}", np.full(len(rows), None, object))[place] = kept[name]
            else:
                further.append(kept[name])
        if further:
            found.setdefault(FURTHER, np.full(len(rows), None, object))[place] = joined_cut_texts(further)
    return found


def kept_lengths(texts: Mapping[str, str]) -> Iterator[tuple[str, str, int]]:
    """Yield each text of a request with the number of its characters to keep: an equal part of READ, plus the characters that shorter texts
    do not need.
    """
    left = READ
    for place, (name, text) in enumerate(sorted(texts.items(), key=lambda item: len(item[1]))):
        most = left // (len(texts) - place)
        left -= min(len(text), most)
        yield name, text, most


def texts_of(rows: "DataFrame", references: Sequence[str]) -> dict[str, Array]:
    """The columns of requests that hold texts: features by reference (without those about answers), and the fields that records do not
    define.
    """
    asked = (name for name in references if not is_of_answers(name.removeprefix("feature.")))
    return {name: rows[name].to_numpy(object) for name in asked} | other_texts(rows)


def size_limit(earlier: Floats) -> float | None:
    """The number of characters (or tokens) above which a text is oversized, judged by earlier texts; None if there are fewer than 100."""
    known = earlier[earlier > 0]
    if known.size < MIN_PAST:
        return None
    logs = np.log(known)
    return float(max(LONGEST, LONGER * known.max(), np.exp(logs.mean() + DEVIATIONS * logs.std())))


def lengths_of(values: Array) -> Floats:
    """The number of characters of each text; 0 if there is no text."""
    return np.array([getattr(value, "characters", len(value)) if isinstance(value, str) else 0 for value in values], np.float64)


def first_instruction(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The first match of OVERRIDE or ROLE in a text of any length; None if there is none. A long text is searched only around WORDS, which
    takes a tenth of the time.
    """
    if len(text) <= READ:
        return pattern.search(text)
    # Letters that IGNORECASE treats like ASCII letters, but whose lower case is another letter or has two characters.
    lowered = text.replace("İ", "i").replace("ı", "i").replace("ſ", "s").lower()
    found = []
    for word in WORDS[pattern]:
        place = lowered.find(word)
        while place >= 0:
            if match := pattern.search(text, max(place - AROUND, 0), place + 3 * AROUND):
                found.append(match)
                break
            place = lowered.find(word, place + AROUND)
    return min(found, key=lambda match: match.start()) if found else None


def matches(pattern: re.Pattern[str], values: Array) -> Bools:
    """A mask of the texts that contain a match of a pattern (OVERRIDE or ROLE). Equal texts, such as levels of a category, are searched
    once.
    """
    found = {text: first_instruction(pattern, text) is not None for text in {value for value in values if isinstance(value, str)}}
    return np.array([isinstance(value, str) and found[value] for value in values], np.bool_)


@dataclass(frozen=True)
class ComparedTexts:
    """The texts of requests by column. now, past: texts without a reference, of the requests and of the weeks before. known, reference:
    texts of features that have a reference, of the requests and of the reference. sizes: number of tokens of the questions, of the requests
    and of the weeks before, if logged.
    """

    now: Mapping[str, Array]
    past: Mapping[str, Array]
    known: Mapping[str, Array] = field(default_factory=dict)
    reference: Mapping[str, Array] = field(default_factory=dict)
    sizes: tuple[Floats, ...] = ()


def odd_texts(texts: ComparedTexts, subjects: Array, ids: Sequence[str]) -> OddTexts:
    """What is odd about the texts of requests: at most one claim about oversized texts and one about prompt-like texts.

    subjects: the subject of each request, None if it is not named.
    """
    oversized, prompt, written, usual, more, unjudged = (np.zeros(len(ids), np.bool_) for _ in range(6))
    fixed = False
    for name, values in {**texts.known, **texts.now}.items():
        registered = name in texts.known
        before = texts_in((texts.reference if registered else texts.past).get(name, ()))
        lengths, limit = lengths_of(values), size_limit(lengths_of(before))
        unusual, ordinary, often = prompt_rows(values, before)
        prompt |= unusual
        if registered:
            oversized |= lengths > max(LONGEST, LONGER * lengths_of(before).max(initial=0))
            written |= (lengths > 0) & ordinary.any()
        else:
            oversized |= lengths > (FIXED_LIMIT if limit is None else limit)
        if registered or is_free_text(values):
            written |= (lengths > 0) & (not registered)
            usual |= ordinary & ~often & (limit is not None)
            more |= ordinary & often & (limit is not None)
            unjudged |= ordinary & (limit is None)
            fixed |= limit is None and not registered
    if texts.sizes and (limit := size_limit(texts.sizes[1])) is not None:
        oversized |= texts.sizes[0] > limit
    claims = [claim_of_texts(check, rows, subjects, ids) for check, rows in (("oversized", oversized), ("prompt", prompt)) if rows.any()]
    ordinary_of, more_of, unknown_of = (int(each.sum()) for each in (usual & ~more & ~unjudged, more & ~unjudged, unjudged))
    return OddTexts(tuple(claims), int(written.sum()), ordinary_of, more_of, unknown_of, fixed)


def texts_in(values: Iterable[object]) -> Array:
    """The values that are texts and not empty."""
    return np.array([value for value in values if isinstance(value, str) and value], object)


def prompt_rows(values: Array, before: Array) -> tuple[Bools, Bools, Bools]:
    """Three masks of the texts of a column that give instructions to a language model: texts of a kind that is significantly more frequent
    than before; all other such texts; and, among these other texts, those of a kind that is probably more frequent (MAYBE).

    before: earlier texts, or the texts of the reference. Honest texts also quote instructions and assign roles, so a single such text is
    not evidence.
    """
    unusual, every, often = (np.zeros(len(values), np.bool_) for _ in range(3))
    n = int((lengths_of(values) > 0).sum())
    for pattern in (OVERRIDE, ROLE):
        rows, earlier = matches(pattern, values), int(matches(pattern, before).sum())
        hits = int(rows.sum())
        every |= rows
        if is_more(hits, n, earlier, len(before)):
            unusual |= rows
        elif is_more(hits, n, earlier, len(before), MAYBE):
            often |= rows
    return unusual, every & ~unusual, often & ~unusual


def is_more(hits: int, n: int, earlier: int, earlier_n: int, chance: float = FALSE_ALARM, least: int = MIN_PAST) -> bool:
    """Whether a share is significantly larger than another, at a given p-value. Given the sum of the hits on both sides, the hits are
    binomial.

    least: minimum number of texts behind the second share.
    """
    if not hits or earlier_n < least:
        return False
    return float(bdtrc(hits - 1, hits + earlier, n / (n + earlier_n))) <= chance


def is_free_text(values: Array) -> bool:
    """Whether most values of a column are texts of several words."""
    given = [value for value in values if isinstance(value, str)]
    return bool(given) and 2 * sum(" " in value for value in given) > len(given)


def claim_of_texts(check: str, rows: Bools, subjects: Array, ids: Sequence[str]) -> GuardClaim:
    """The claim about some requests. Its subject is their sender; NOT_NAMED if there are several senders, or if a sender is unknown.

    A sender stands out if it sent at least MIN_APART of these requests, and significantly more than the other senders; the senders share
    FALSE_ALARM. The test is exact for any number of other requests; with fewer than ten of them it never reaches FALSE_ALARM.
    """
    places = np.flatnonzero(rows)
    everyone = Counter(str(name) for name in subjects if name is not None and name == name)
    named = Counter(str(subjects[row]) for row in places if subjects[row] is not None and subjects[row] == subjects[row])
    senders = tuple(name for name, _ in named.most_common())
    alone = len(senders) == 1 and named.total() == len(places)
    some = tuple(ids[row] for row in places[:10])
    chance = FALSE_ALARM / max(len(senders), 1)
    apart = tuple(
        name
        for name in senders
        if named[name] >= MIN_APART
        and is_more(named[name], everyone[name], len(places) - named[name], len(ids) - everyone[name], chance, 1)
    )
    subject = senders[0] if alone else NOT_NAMED
    return GuardClaim(subject, check, rate_interval(len(places), len(ids)), 0.0, len(places), None, some, senders, apart)
