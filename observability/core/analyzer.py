"""What is an analyzer, and which are there?

An analyzer is one file under observability/analyzers/<section>/ that defines `ANALYZER`. It declares which aggregates it needs and judges the
answers; it never sees a database, a clock, a file or Streamlit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from observability.core.catalog import Model, Version
from observability.core.finding import Against, Finding
from observability.core.metric_definitions import METRICS
from observability.core.questions import Question
from observability.core.window import EPOCH, Window

if TYPE_CHECKING:
    from pandas import DataFrame

Span = Literal["current", "reference", "past"]
DAY = timedelta(days=1)
NIGHT = timedelta(hours=3)
"""Hours at the end of a day that may lack where the newest record is older than they are: few models serve all night."""


@dataclass(frozen=True)
class Ask:
    """One frame that an analyzer needs.

    span: "current" (the window), "reference" (the stored reference of the version) or "past" (the `days` days before the window; ask with a
    Bucket to get them by hour or day). earlier: so many days earlier, and as it stood then (to the hour). scope "model" asks over all versions of the model, "version" over the one that is judged.
    """

    aggregate: Question
    span: Span = "current"
    days: int = 28
    scope: Literal["version", "model"] = "version"
    earlier: int = 0


@dataclass(frozen=True)
class Context:
    """What an analyzer knows beside its frames.

    version: the version that is judged; its edges and features are in it. window: the window that is judged (its `version` is set; its `as_of`
    is what had arrived). now: the instant of the question: as_of, else the end of the window or the clock, whichever run.py decided; freshness
    is measured against it. budget: the share of false discoveries that this one run may spend (see stats/multiple.py).
    counters: what the loader counted about this model and window: {"duplicates": n, "rejected": n, "unknown_columns": {name: n}}, and "not_explained":
    {version: why its artifact could not be explained}.
    Of an analyzer about records, `model` and `version` are EVERY_MODEL and NO_VERSION, and the window's model is "" or the one that is asked about.
    """

    model: Model
    version: Version
    window: Window
    now: datetime
    budget: float = 0.1
    counters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def whole_days(self) -> tuple[int, int]:
        """Numbers (since 1970) of the first and the last day of the window that are whole: the days that its last 1, 3 and 7 are counted among.

        Half a day holds other hours than a day does, and looks moved wherever hours differ. What `now` cuts is a half day too, but for the last hours of
        a night in which nothing came. The last is before the first where no day is whole.
        """
        start, end = self.window.start, self.window.end
        until = end if self.now >= end - NIGHT else max(self.now, start)
        return -((EPOCH - start) // DAY), (until - EPOCH) // DAY - 1

    def undecided(
        self, analyzer: str, subject: str, metric: str, n: int, because: str, *, against: Against = "reference", whole_model: bool = False
    ) -> Finding:
        """A finding about this window that cannot tell, to be filled in where it can. whole_model: about every version at once."""
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


@dataclass(frozen=True)
class Analyzer:
    """One question about a model in a window, or about records of other kinds (training runs, datasets, labelling projects) in a window.

    name: `section/name`, from the file's place. question: one plain sentence. needs: the frames, by name, for this context (it looks at the
    catalog only). analyze: pure; it must not change its frames. exceptions: numbers of the laws (docs/architecture.md) it is exempt from.
    limits: {metric: the limit from which a finding is `act` where the owner stated none in the settings ("analyzer/metric"); None: judged only where one is
    stated}. From these the page of the rules is made.
    labels: it needs them, and is asked once more about older days where those of the window are not in yet (late_labels.py).
    about "records": asked once for all models, of `Records` only, and not in a slice; its findings name their model themselves, where there is one.
    """

    name: str
    question: str
    needs: Callable[[Context], dict[str, Ask]]
    analyze: Callable[[Frames, Context], list[Finding]]
    exceptions: frozenset[int] = frozenset()
    about: Literal["model", "records"] = "model"
    labels: bool = False
    limits: Mapping[str, float | None] = field(default_factory=dict)
