"""Change a text without changing its meaning: typos, casing, synonyms. Each function takes the text and a random generator."""

import re
from collections.abc import Callable

import numpy as np

WORD = re.compile(r"[^\W\d_]{4,}")
SYNONYMS = {
    "good": "fine", "great": "excellent", "bad": "poor", "awful": "terrible", "happy": "glad", "sad": "unhappy", "love": "adore",
    "hate": "detest", "nice": "pleasant", "big": "large", "small": "little", "fast": "quick", "slow": "sluggish", "begin": "start",
    "end": "finish", "buy": "purchase", "help": "assist", "easy": "simple", "hard": "difficult", "funny": "amusing", "boring": "dull",
    "angry": "furious", "tired": "exhausted", "beautiful": "lovely", "ugly": "unattractive", "smart": "clever", "stupid": "foolish",
    "rich": "wealthy", "important": "significant", "wrong": "incorrect", "right": "correct", "amazing": "astonishing", "enjoy": "like",
    "want": "wish", "need": "require", "say": "tell", "think": "believe", "show": "display", "today": "nowadays", "people": "persons",
    "movie": "film", "job": "work", "home": "house", "kids": "children", "car": "automobile", "problem": "issue", "awesome": "superb",
    "best": "finest", "worst": "poorest", "better": "superior", "sick": "ill", "scared": "afraid", "sure": "certain", "maybe": "perhaps",
    "excited": "thrilled", "wonderful": "marvellous", "horrible": "dreadful", "annoying": "irritating", "miss": "long for",
}  # fmt: skip
"""Common English words with a near synonym; a word without one stays."""
ANY_WORD = re.compile("|".join(rf"\b{word}\b" for word in SYNONYMS), re.IGNORECASE)


def with_typos(number: int) -> Callable[[str, np.random.Generator], str]:
    """The text with two neighbouring inner letters swapped in up to `number` words of at least four letters."""

    def change(text: str, rng: np.random.Generator) -> str:
        spans = [found.span() for found in WORD.finditer(text)]
        for place in rng.permutation(len(spans))[:number]:
            start, end = spans[place]
            at = int(rng.integers(start + 1, end - 2)) if end - start > 3 else start + 1
            text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        return text

    return change


def in_lower_case(text: str, _rng: np.random.Generator) -> str:
    """The text in lower case."""
    return text.lower()


def in_upper_case(text: str, _rng: np.random.Generator) -> str:
    """The text in upper case."""
    return text.upper()


def with_synonyms(text: str, _rng: np.random.Generator) -> str:
    """The text with each word of SYNONYMS replaced by its synonym; a capital at its beginning is kept."""

    def other(found: re.Match[str]) -> str:
        word = SYNONYMS[found[0].lower()]
        return word.capitalize() if found[0][0].isupper() else word

    return ANY_WORD.sub(other, text)


CHANGES: dict[str, Callable[[str, np.random.Generator], str]] = {
    "1 typo": with_typos(1),
    "2 typos": with_typos(2),
    "4 typos": with_typos(4),
    "lower case": in_lower_case,
    "upper case": in_upper_case,
    "synonyms": with_synonyms,
}
