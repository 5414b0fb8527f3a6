"""The sentence of a finding is short; the rest of it is in the details."""

import re

import pytest

from observability.core.finding import finding_details
from observability.monitoring.short_claims import MAX_WORDS, split_claim, with_short_claim
from tests.support.analyzer_worlds import context_for

LONG = " ".join(["word"] * 30)


@pytest.mark.parametrize(
    ("sentence", "parts"),
    [
        ("`age` moved; by much.", ["`age` moved; by much."]),
        (f"It fell ({LONG}; n 5); as before. Ask the owner why it did. {LONG}.", [f"It fell ({LONG}; n 5); as before.", "Ask the owner why it did.", f"Word {LONG[5:]}."]),
        (f"`a; b` of {LONG}, 0.5 %; {LONG}.", [f"`a; b` of {LONG}, 0.5 %.", f"Word {LONG[5:]}."]),
        (f"Nothing moved: {LONG} {LONG}. So it is.", ["Nothing moved.", f"Word {LONG[5:]} {LONG}.", "So it is."]),
    ],
)  # fmt: skip
def test_a_claim_is_split_at_the_end_of_a_clause(sentence: str, parts: list[str]) -> None:
    """Regression: the sentence about joint drift had 84 words."""
    assert split_claim(sentence) == parts


def test_a_part_that_is_cut_from_a_claim_is_kept_as_a_detail() -> None:
    finding = context_for(None).undecided("a/b", "model", "psi", 0, f"It fell; {LONG}; {LONG}.")
    short = with_short_claim(finding)
    assert len(short.because.split()) <= MAX_WORDS and len(finding_details(short)) == 1
    assert sorted(re.findall(r"\w+", " ".join([short.because, *finding_details(short)]).lower())) == sorted(
        re.findall(r"\w+", finding.because.lower())
    )
    assert with_short_claim(short) == short
