"""Empty answers: no records of a kind, no attributions, no estimated errors."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from observability.core.questions import Attributions, EstimatedErrors, Question, Records, record_kind
from observability.records.kinds import KINDS
from observability.stats.rank_blocks import blocks_frame

if TYPE_CHECKING:
    from pandas import DataFrame

TYPES = {"time": "datetime64[us]", "number": "float64", "integer": "Int64"}


def empty_enrichment_answer(question: Question, features: Iterable[str] = ()) -> "DataFrame":
    """The empty result of a query for attributions or estimated errors. features: the features of the version."""
    import pandas as pd

    if isinstance(question, EstimatedErrors):
        figures = ["w", "w2", "estimated", "estimated_squares", "measured", "measured_squares", "difference_squares"]
        kinds = {"period": "datetime64[us]", "measure": "object", "labelled": "int64", "n": "int64"} | dict.fromkeys(figures, "float64")
    elif isinstance(question, Attributions):
        kinds = {"id": "object", "at": "datetime64[us]", "weight": "float64", "version": "object", "sampled": "bool", "class": "int64"}
        kinds |= dict.fromkeys(("base", "output", "residual"), "float64")
        kinds |= {"link": "object", "method": "object", "adds_up": "bool", "reproduces": "object"}
        kinds |= dict.fromkeys((f"attribution.{name}" for name in features), "float64")
        kinds |= dict.fromkeys(question.columns, "object")
    else:
        raise TypeError(f"no empty answer to {type(question).__name__}")
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})


def empty_records(question: Records) -> "DataFrame":
    """The empty result of a query for records of a kind."""
    import pandas as pd

    if question.blocks:
        return blocks_frame(())
    fields = {name: each.type for name, each in KINDS[record_kind(question.kind)].fields.items() if name != "received_at"}
    fields |= {"extra": "object"} if "extra" in (question.columns or ()) else {}
    found = pd.DataFrame({name: pd.Series(dtype=TYPES.get(fields[name], "object")) for name in question.columns or fields})
    found = found.assign(n=pd.Series(dtype="int64")) if question.counted else found
    return found.assign(stride=pd.Series(dtype="int64")) if question.spread else found
