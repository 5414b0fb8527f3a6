"""Find the features that are components of a representation, such as an SVD of words. A single one of them has no meaning."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from observability.investigation.model_answers import Bar

NUMBERED = re.compile(
    r"(component|comp|svd|lsa|lsi|pca|pc|nmf|ica|umap|tsne|emb|embed|embedding|latent|factor|topic|dim|dimension|vec|vector)s?[ _.-]?\d+",
    re.IGNORECASE,
)
"""A name that consists of a word for a dimension and its number."""
MIN_COMPONENTS = 3
"""Features whose names share a word count as components of one representation if there are at least this many."""


class SeveralInputs(StrEnum):
    """The value of a bar that stands for several inputs."""

    TOGETHER = "added up"


TOGETHER: Final = SeveralInputs.TOGETHER


def latent_features(names: Iterable[str]) -> tuple[str, ...]:
    """The names of latent features, in the order given; empty if fewer than three share a word."""
    words = {name: found.group(1).lower() for name in names if (found := NUMBERED.fullmatch(name))}
    numbers = Counter(words.values())
    return tuple(name for name, word in words.items() if numbers[word] >= MIN_COMPONENTS)


def latent_bars_together(bars: Sequence[Bar]) -> tuple[Bar, ...]:
    """The attributions, largest first. Those of latent features are summed in one bar, whose value is TOGETHER."""
    hidden = set(latent_features(bar.feature for bar in bars))
    if not hidden:
        return tuple(bars)
    moved = sum(bar.attribution for bar in bars if bar.feature in hidden)
    whole = [*(bar for bar in bars if bar.feature not in hidden), Bar(f"{len(hidden)} latent inputs", TOGETHER, moved)]
    return tuple(sorted(whole, key=lambda bar: -abs(bar.attribution)))


def latent_bars_by_side(bars: Sequence[Bar]) -> tuple[tuple[Bar, ...], tuple[Bar, ...]]:
    """The attributions above 0 and those below 0, each largest first. On each side, latent features form one bar, so that they do not
    cancel each other.
    """
    hidden = set(latent_features(bar.feature for bar in bars))
    sides = []
    for side in (1, -1):
        own = [bar for bar in bars if bar.attribution * side > 0]
        latent = [bar.attribution for bar in own if bar.feature in hidden]
        kept = [bar for bar in own if bar.feature not in hidden]
        if latent:
            kept.append(Bar(f"{len(latent)} latent input{'' if len(latent) == 1 else 's'}", TOGETHER, sum(latent)))
        sides.append(tuple(sorted(kept, key=lambda bar: -abs(bar.attribution))))
    return sides[0], sides[1]


def named_and_other_bars(bars: Sequence[Bar], most: int) -> tuple[list[Bar], list[Bar]]:
    """The bars that are shown by name, up to a limit, and all other bars; both largest first. The bar of latent features is always named,
    because it stands for more than one input.
    """
    together = [bar for bar in bars[most:] if bar.value is TOGETHER]
    named = [*bars[: most - len(together)], *together]
    return named, [bar for bar in bars[most - len(together) :] if bar not in together]
