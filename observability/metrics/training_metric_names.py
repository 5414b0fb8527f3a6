"""What the name of a training metric shows: on which part of the data it is measured, and which direction is better."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from observability.core.metric_definitions import METRICS

Better = Literal["low", "high"]
DataPart = Literal["train", "held out"]
PREFIX = re.compile(r"(train|training|validation|valid|val|test|eval|dev)[_/.\- ](?=.)", re.IGNORECASE)
LOW, HIGH = (
    frozenset(words.split())
    for words in (
        "loss logloss error errors mae mse rmse mape smape nll deviance brier perplexity ppl wer cer crossentropy entropy fid hinge regret",
        "accuracy acc auc auroc auprc f1 r2 precision recall sensitivity specificity bleu rouge ndcg mrr iou dice kappa reward",
    )
)
"""Words in a metric's name that show which direction is better."""


@lru_cache(4096)
def data_prefix(name: str) -> str:
    """The prefix of a metric's name that tells the part of the data, in lower case; empty without one.

    Parameters
    ----------
    name : str
        Name of the metric.

    Returns
    -------
    str
        Empty if it names none.
    """
    found = PREFIX.match(name)
    return found[1].lower() if found else ""


def data_part(name: str) -> DataPart:
    """Whether a metric is measured on training rows or on held-out rows. If its name does not tell, training rows are assumed.

    Parameters
    ----------
    name : str
        Name of the metric.

    Returns
    -------
    DataPart
    """
    return "train" if data_prefix(name) in ("", "train", "training") else "held out"


@lru_cache(4096)
def base_metric(name: str) -> str:
    """The metric's name without the part of the data: `validation_loss` becomes `loss`.

    Parameters
    ----------
    name : str
        Name of the metric.

    Returns
    -------
    str
    """
    return PREFIX.sub("", name, count=1).lower() if PREFIX.match(name) else name.lower()


@lru_cache(4096)
def better_direction(name: str) -> Better | None:
    """Better direction of a metric, from its name.

    Parameters
    ----------
    name : str
        Name of the metric.

    Returns
    -------
    Better | None
        None if it does not tell, or tells both.
    """
    known = METRICS.get(base_metric(name))
    if known is not None and known.better in ("low", "high"):
        return "low" if known.better == "low" else "high"
    words = set(re.split(r"[^a-z0-9]+", base_metric(name)))
    low, high = bool(words & LOW), bool(words & HIGH)
    return None if low == high else "low" if low else "high"


def stated_directions(declared: Mapping[str, Any]) -> dict[str, Better]:
    """The better direction of each metric for which a run declares one. Words other than low, minimize, high, maximize and their variants
    are ignored.

    Parameters
    ----------
    declared : Mapping[str, Any]
        Metric to word, as the run record holds it.

    Returns
    -------
    dict[str, Better]
    """
    words: dict[str, Better] = {"low": "low", "lower": "low", "min": "low", "minimize": "low", "minimise": "low"}
    words |= {"high": "high", "higher": "high", "max": "high", "maximize": "high", "maximise": "high"}
    return {name: words[word] for name, value in declared.items() if (word := str(value).lower()) in words}
