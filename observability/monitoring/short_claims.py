"""Keep the sentence of a finding, or of a claim about a training run, short. Surplus clauses become its details, which pages show on
demand.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from observability.core.finding import DETAILS, Finding, finding_details
from observability.core.formatting import with_full_stop
from observability.detection.run_claims import RunClaim

MAX_WORDS = 38
"""Maximum number of words in a claim."""
AnyClaim = TypeVar("AnyClaim", Finding, RunClaim)


def with_short_claim(claim: AnyClaim) -> AnyClaim:
    """The claim with its first clauses as the sentence (at most MAX_WORDS words), and all other clauses in `evidence["details"]`."""
    kept, *others = split_claim(claim.because)
    if not others:
        return claim
    return replace(claim, because=kept, evidence=claim.evidence | {DETAILS: [*others, *finding_details(claim)]})


def split_claim(sentence: str, most: int = MAX_WORDS) -> list[str]:
    """The claim made from a sentence, followed by its other clauses as sentences of their own. A short sentence is returned alone.

    most: maximum number of words in the claim. A first clause that is longer than MAX_WORDS is cut after its colon.
    """
    if len(sentence.split()) <= most:
        return [sentence]
    clauses = list(_clauses(sentence, ";."))
    if len(clauses[0].split()) > MAX_WORDS:
        head, *rest = _clauses(clauses[0], ":")
        clauses = [head, *([" ".join(rest)] if rest else []), *clauses[1:]]
    lengths = [len(clause.split()) for clause in clauses]
    kept = next((count for count in range(len(clauses), 1, -1) if sum(lengths[:count]) <= most), 1)
    parts = " ".join(clauses[:kept]), *clauses[kept:]
    return [with_full_stop(f"{part[:1].upper()}{part[1:]}".rstrip(";: ")) for part in parts]


def _clauses(sentence: str, ends: str) -> Iterator[str]:
    """The clauses of a sentence, each with the punctuation mark that ends it. A clause never ends within parentheses or within a name in
    backticks.
    """
    start, depth, name = 0, 0, False
    for place, sign in enumerate(sentence):
        name ^= sign == "`"
        depth += (sign == "(") - (sign == ")")
        if sign in ends and not name and not depth and sentence[place + 1 : place + 2] == " ":
            yield sentence[start : place + 1].strip()
            start = place + 1
    if rest := sentence[start:].strip():
        yield rest
