"""Phrases that readers have to work out, and what to write instead."""

import re

RIDDLES = {
    r"its own days\b": "daily range",
    r"\bno news\b": "unchanged",
    r"\bneeds? a person\b": "needs attention",
    r"nothing else comes with it|with it \d+ findings": "related findings",
    r"\banswers took at most": "p99 latency",
    r"came true": "reliability diagram",
    r"a model without fault": "expected from sampling noise",
    r"looks so once in|is looked at in turn|slow creep": "gradual-shift test",
    r"limits lie farther|few days vary more": "shorter windows have wider limits",
    r"changed otherwise than|looks at single slices": "no slice changed significantly",
    r"\bother inputs explain|another relation|the relation as it was": "covariate shift, concept drift",
    r"how well they are told apart": "domain-classifier AUC",
    r"lost where shuffled": "permutation importance",
    r"which numbers go together": "correlation changes",
    r"names its subject|nobody's bursts|who asks\b": "subject: a user pseudonym",
    r"\bcommonest\b": "most frequent",
    r"comes? in place of|taken for each other": "fell, rose: possible recoding",
    r"it stood in the reference": "pre-existing gap",
    r"negatives mistaken|positives are found": "equal TPR and FPR across groups",
    r"the making of the hardware": "incl. embodied carbon",
    r"which is no alarm": "nothing",
    r"\btouches \d": "affects",
    r"what held at the week": "settings as of",
    r"is said from \d|said from .* answers on": "shown after",
    r"stands on what you write": "shown as author",
    r"values lie on average at percentile": "mean percentile",
    r"begins to serve": "deployed",
    r"looked at the live models": "last check",
    r"problems? with values": "data-quality issue",
    r"what it should move|was passed up": "the target metric did not improve",
    r"\bto be labelled again\b": "relabel queue",
    r"\btake a decision back\b|\bwrite down\b": "withdraw, save",
    r"\bheld against\b": "baseline",
    r"\bown limit\b": "threshold override",
    r"\btoo early, no labels": "no data",
    r"stands? out by nothing": "nothing unusual",
    r"whatever was usual": "whatever the baseline",
    r"moved too far of": "shifted",
    r"\bdata sets?\b": "dataset",
}
"""Phrases that must not be used again, with what to write instead."""
PATTERNS = [(re.compile(phrase, re.IGNORECASE), better) for phrase, better in RIDDLES.items()]


def riddles_in(text: str) -> list[str]:
    """Each phrase in a text that a reader has to work out, with what to write instead."""
    return [f"{found[0]!r}: {better}" for pattern, better in PATTERNS if (found := pattern.search(text))]
