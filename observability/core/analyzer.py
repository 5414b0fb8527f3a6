"""The interface of an analyzer: one file under observability/analyzers/<section>/ that defines `ANALYZER`.

An analyzer declares which frames it needs, and evaluates these frames. It has no access to a database, a clock, a file or Streamlit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from observability.core.catalog import Model, Version
from observability.core.finding import Against, Finding
from observability.core.metric_definitions import METRICS
from observability.core.questions import Question
from observability.core.window import EPOCH, Environment, Window

if TYPE_CHECKING:
    from pandas import DataFrame

Span = Literal["current", "reference", "past"]
DAY = timedelta(days=1)
DAYS_DRAWN = 1096
"""Maximum number of days (the newest) in a finding's evidence for its chart: three years, so that the chart covers the window that it
names.
"""
MOST_INPUTS = 250
"""Maximum number of features that an analyzer of single rows compares, because pairs of features and the columns of a classifier grow
faster than the number of features.
"""
NIGHT = timedelta(hours=3)
"""The day of `now` counts as complete if at most this much of its end is missing, because few models serve all night."""


def most_important_names(names: Sequence[str], importance: Mapping[str, float]) -> tuple[str, ...]:
    """The MOST_INPUTS names with the largest importance, in the given order; among equally important names, the first ones are taken."""
    if len(names) <= MOST_INPUTS:
        return tuple(names)
    chosen = set(sorted(names, key=lambda name: -importance.get(name, 0.0))[:MOST_INPUTS])
    return tuple(name for name in names if name in chosen)


@dataclass(frozen=True)
class Ask:
    """One frame that an analyzer needs.

    span: "current" (the window), "reference" (the stored reference of the version) or "past" (the `days` days before the window; use a
    Bucket to get them by hour or day). earlier: number of days by which the span is moved back; only records that had arrived by then (to
    the hour) count. scope: "model" covers all versions of the model, "version" only the evaluated one. environment: the environment to
    query, if it is not the window's.
    """

    aggregate: Question
    span: Span = "current"
    days: int = 28
    scope: Literal["version", "model"] = "version"
    earlier: int = 0
    environment: Environment | None = None


@dataclass(frozen=True)
class Context:
    """The inputs of an analyzer besides its frames.

    version: the evaluated version with its edges and features. window: the evaluated window (its `version` is set). now: the time of the
    check, from which freshness is measured (monitoring/check.py decides it). until: the time used for dates that people set, such as due
    dates: the earliest of the window's end, `as_of` and the clock. It differs from `now` in the last window of a model that ended, where
    `now` is the hour of its newest record; None: equal to `now`. budget: the false discovery rate of this run (stats/multiple_testing.py).
    counters: the loader's counts of this model and window, as `Engine.counters` describes them (store/engine.py). For an analyzer about
    records, the counters hold instead: `model_projects`, the labelling projects of models; `budgets`; `call_costs` (a function that returns
    the cost of a model's production calls over a number of days); `models`, every model by name; for trust/exports `canary_sightings`; and,
    if they are kept, the functions `judged_runs` (judged training runs) and `labelled_window` (labels of annotators by project). For an
    analyzer about records, `model` and `version` are EVERY_MODEL and NO_VERSION, and the window's model is "" or the requested one.
    """

    model: Model
    version: Version
    window: Window
    now: datetime
    budget: float = 0.1
    counters: Mapping[str, Any] = field(default_factory=dict)
    until: datetime | None = None

    @property
    def whole_days(self) -> tuple[int, int]:
        """Day numbers (since 1970) of the first and the last complete day of the window. The windows of 1, 3 and 7 days end at the last
        complete day.

        Incomplete days are excluded because their hours differ from those of a complete day. The day of `now` is complete if at most NIGHT
        of it is missing. If no day is complete, the last number is below the first.
        """
        start, end = self.window.start, self.window.end
        until = end if self.now >= end - NIGHT else max(self.now, start)
        return -((EPOCH - start) // DAY), (until - EPOCH) // DAY - 1

    @property
    def due_time(self) -> datetime:
        """The time that decides what is due or has expired. It is the same for batches and for every kind of audit."""
        return self.until or self.now

    def most_important(self, names: Sequence[str]) -> tuple[str, ...]:
        """At most MOST_INPUTS features, the most important ones by the model's settings; see `most_important_names`."""
        return most_important_names(names, self.model.settings.importance)

    def undecided(
        self, analyzer: str, subject: str, metric: str, n: int, because: str, *, against: Against = "reference", whole_model: bool = False
    ) -> Finding:
        """A finding of severity `unknown` about this window, from which other findings are made. whole_model: whether it is about all
        versions together.
        """
        return Finding(
            analyzer=analyzer,
            model=self.model.name or None,
            version=None if whole_model else self.version.name or None,
            subject=subject,
            metric=metric,
            unit=METRICS[metric].unit,
            value=None,
            n=n,
            severity="unknown",
            because=because,
            start=self.window.start,
            end=self.window.end,
            against=against,
            slice=str(self.window.slice) if self.window.slice else None,
        )


EVERY_MODEL, NO_VERSION = Model(0, ""), Version("")
Frames = Mapping[str, "DataFrame"]
Proof = Callable[[Finding, Context], str | None]
"""Returns the SQL over the documented views that gives a finding's value from raw rows; None if no query gives this value."""
Proofs = Mapping[str, Proof | str]
"""By metric: the function that writes the SQL of its value, or the reason why it has no SQL. OTHERS stands for all metrics that are not
named.
"""
OTHERS = "other metrics"
OTHERWISE = " otherwise"
"""Suffix of a key of `Proofs`. The value under such a key is the reason why a metric has no query in the cases that the metric's function
does not cover.
"""


@dataclass(frozen=True)
class Analyzer:
    """A check of a model in a window, or a check of records of other kinds (training runs, datasets, labelling projects) in a window.

    name: `section/name`, from the place of the file. question: one sentence. needs: the frames, by name, for this context (from the catalog
    only). analyze: pure; it must not change its frames. exceptions: numbers of the laws (docs/architecture.md) from which it is exempt.
    limits: {metric: default limit from which a finding is `act`; the settings override it as "analyzer/metric". None: evaluated only if the
    owner states a limit}; the page of rules shows these limits. labels: whether the analyzer needs labels; if the labels of the window have
    not arrived yet, it runs again on older days (monitoring/late_labels.py). about: "records" if it runs once for all models, on `Records`
    only, without a slice; its findings then name their model if there is one.
    """

    name: str
    question: str
    needs: Callable[[Context], dict[str, Ask]]
    analyze: Callable[[Frames, Context], list[Finding]]
    exceptions: frozenset[int] = frozenset()
    about: Literal["model", "records"] = "model"
    labels: bool = False
    limits: Mapping[str, float | None] = field(default_factory=dict)
    proofs: Proofs = field(default_factory=dict)

    def proof(self, finding: Finding, context: Context) -> str | None:
        """The SQL that gives the value of a finding; None if the value is unknown or not measured, or if no query gives it."""
        known = self._proof_of(finding.metric)
        if isinstance(known, str) or finding.value is None or finding.basis != "measured":
            return None
        return known(finding, context)

    def why_no_proof(self, finding: Finding) -> str:
        """Why there is no SQL for the value of a finding of this analyzer."""
        if finding.value is None:
            return "the value is unknown"
        if finding.basis != "measured":
            return f"the value is {finding.basis}, not measured"
        known = self._proof_of(finding.metric)
        otherwise = self.proofs.get(f"{finding.metric}{OTHERWISE}")
        return known if isinstance(known, str) else otherwise if isinstance(otherwise, str) else "no query covers this case"

    def _proof_of(self, metric: str) -> Proof | str:
        return self.proofs.get(metric) or self.proofs.get(OTHERS) or "the analyzer names no query"
