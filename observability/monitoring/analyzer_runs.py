"""Run one analyzer: read the frames that it needs, and turn a failure into a finding."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Literal

from observability.analyzers import discover
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Analyzer, Ask, Context
from observability.core.errors import ObservabilityError
from observability.core.finding import FAILED, Finding
from observability.core.numerals import with_minus_signs
from observability.core.questions import Aggregate, Attributions, EstimatedErrors, Question, Records, Sample, record_kind
from observability.core.window import EPOCH, Window
from observability.monitoring.check_windows import question_window

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.engine import Engine

LOG = logging.getLogger(__name__)
KnownAnswers = dict[tuple[Question, Window], tuple["DataFrame", list[tuple[str, Exception]]]]
"""Query results by query and window, with the columns that failed."""
RunAnalyzer = Callable[[Analyzer, Mapping[str, "DataFrame"], Context], list[Finding]]
"""A function that runs an analyzer on its frames."""
Reads = Literal["all", "counts", "aggregates", "computed", "rows", "records"]
PARTS: dict[Reads, tuple[Reads, ...]] = {"all": ("aggregates", "computed", "rows"), "counts": ("aggregates", "computed")}
"""Groups of analyzers by what they read; see `analyzer_reads`. "records": analyzers of records other than predictions."""
EXPORTS = "trust/exports"
"""The analyzer that also gets the predictions in which a canary occurs. Canaries are records themselves, so no query can name them in
advance. To judge the exports of one model, it also needs records of other models and records without a model (levels and budgets of
recipients, canaries), so the records of all models are read.
"""


def run_analyzer(analyzer: Analyzer, frames: Mapping[str, "DataFrame"], context: Context) -> list[Finding]:
    """The findings that an analyzer makes from its frames."""
    return analyzer.analyze(frames, context)


def run_and_recover(
    engine: "Engine", analyzer: Analyzer, context: Context, known: KnownAnswers | None = None, run: RunAnalyzer = run_analyzer
) -> list[Finding]:
    """The findings of one analyzer. If one column or the whole analyzer fails, that becomes an `unknown` finding, and everything else goes
    on.

    known: earlier query results; new ones are added to it.
    """
    broken: list[Finding] = []
    try:
        frames = {}
        for name, wanted in analyzer.needs(context).items():
            asked = wanted.aggregate, question_window(wanted, context)
            frame, failed = (known or {}).get(asked) or _analyzer_frame(engine, wanted, context)
            if known is not None:
                known[asked] = frame, failed
            frames[name] = frame
            broken += [_failure_finding(analyzer, context, subject, error) for subject, error in failed]
        return [_with_proof(each, analyzer, context) for each in run(analyzer, frames, context)] + broken
    except Exception as error:
        LOG.exception("analyzer %s failed on %s", analyzer.name, context.model.name)
        return [*broken, _failure_finding(analyzer, context, "model", error)]


def _with_proof(finding: Finding, analyzer: Analyzer, context: Context) -> Finding:
    """The finding with true minus signs in its sentence, and with the SQL that computes its value. If the SQL cannot be written, the
    finding has none.
    """
    proof = finding.proof
    try:
        proof = analyzer.proof(finding, context)
    except Exception:
        LOG.exception("no proof of %s %s", finding.analyzer, finding.metric)
    return finding.revised(because=with_minus_signs(finding.because), proof=proof)


def _analyzer_frame(engine: "Engine", wanted: Ask, context: Context) -> tuple["DataFrame", list[tuple[str, Exception]]]:
    """The frame that an analyzer asked for, and the columns that failed. A column that fails does not affect the other columns."""
    window = question_window(wanted, context)
    if not isinstance(wanted.aggregate, Aggregate):
        return engine.ask(wanted.aggregate, window), []
    try:
        return engine.ask(wanted.aggregate, window), []
    except Exception as error:
        if isinstance(error, ObservabilityError) and error.exit_code == 3:
            raise
        parts, failed = [], []
        for single in _single_columns(wanted.aggregate):
            try:
                parts.append(engine.ask(single, window))
            except Exception as why:
                failed.append(((single.histogram + single.sums)[0].partition(".")[2] or (single.histogram + single.sums)[0], why))
        if not failed:
            raise
        import pandas as pd

        return pd.concat(parts, ignore_index=True) if parts else _empty_aggregate(wanted.aggregate), failed


def _empty_aggregate(aggregate: Aggregate) -> "DataFrame":
    """The empty result of an aggregate query."""
    import pandas as pd

    figures = ("n", "w", "w2", *(("total", "squares", "low", "high") if aggregate.sums else ()))
    kinds = {"period": "datetime64[us]", "bin": "int64", "n": "int64", "label": "int64", "decision": "int64", "score_bin": "int64"}
    names = (*aggregate.key_names, *figures)
    return pd.DataFrame({name: pd.Series(dtype=kinds.get(name, "float64" if name in figures else "object")) for name in names})


def _single_columns(aggregate: Aggregate) -> Iterator[Aggregate]:
    """The same query, split into one query for each column."""
    for reference in aggregate.histogram:
        yield replace(aggregate, histogram=(reference,))
    for reference in aggregate.sums:
        yield replace(aggregate, sums=(reference,))


def _failure_finding(analyzer: Analyzer, context: Context, subject: str, error: Exception) -> Finding:
    """The `unknown` finding for a failure."""
    because = f"{FAILED}: {type(error).__name__}: {error}"
    return context.undecided(analyzer.name, subject, "judged", 0, because, against="level")


def analyzer_reads(analyzer: Analyzer, context: Context) -> Reads:
    """The kind of data that an analyzer reads: "rows" if it asks for a sample of raw rows; "computed" if it asks for explanations or
    estimated errors, which are computed in the background after the rows have arrived; else "aggregates".
    """
    try:
        asked = [each.aggregate for each in analyzer.needs(context).values()]
    except Exception:  # the query fails again when the analyzer runs, and is reported there
        return "aggregates"
    if any(isinstance(question, Sample) for question in asked):
        return "rows"
    return "computed" if any(isinstance(question, Attributions | EstimatedErrors) for question in asked) else "aggregates"


def record_analyzers() -> frozenset[str]:
    """The names of the analyzers of records: about training runs, datasets and labelling projects."""
    return frozenset(analyzer.name for analyzer in discover() if analyzer.about == "records")


@cache
def reads_served_rows(name: str) -> bool:
    """Whether an analyzer of records also reads predictions or labels, or counts of them."""
    (analyzer,) = [each for each in discover() if each.name == name]
    asked = analyzer.needs(Context(EVERY_MODEL, NO_VERSION, Window("", EPOCH, EPOCH), EPOCH)).values()
    records = [each.aggregate for each in asked if isinstance(each.aggregate, Records)]
    served = any(record_kind(each.kind) in ("prediction", "label") for each in records)
    return name == EXPORTS or served or len(records) < len(asked)
