"""What does the calibration page show: what was promised and what came true, how far that is from chance, and since when?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.questions import Bucket
from observability.dashboard import clicks, distributions, frame, load, time_series
from observability.dashboard.charts import calibration as charts_calibration
from observability.dashboard.choice_box import choose
from observability.dashboard.frame import Here
from observability.metrics.reliability import Judged, daily, judged, question, scored, trend
from observability.stats.calibration import brier_parts
from observability.stats.scores import SCORE_EDGES, bin_middles

if TYPE_CHECKING:
    from pandas import DataFrame

STEPS = 40
"""Steps of the score under the curve."""


@dataclass(frozen=True)
class Sides:
    """A classifier's labelled rows now, and in the reference where there is one; counts: now, by day; decided: the class they were all decided as."""

    now: Judged
    before: Judged | None
    counts: "DataFrame"
    decided: str | None = None


def choose_class(here: Here) -> str | None:
    """The box of a model of several classes: of which decisions the confidence is looked at; None: of all."""
    if here.model.task != "multiclass":
        return None
    return choose(
        "class", "Decided class", here.model.classes, placeholder="All classes", width=280,
        missing="The link names the class {}, which this model does not have.",
    )  # fmt: skip


def sides(here: Here, decided: str | None = None) -> Sides | None:
    """What the curves are drawn from, of all rows or of those that were decided as a class; None where nothing is labelled."""
    version, window = distributions.judged_version(here.model, here.window, here.window.version)
    counts = of_class(here, frame.guarded(lambda: load.frame(question(here.model, Bucket("day")), window)), decided)
    now = judged(scored(here.model, counts))
    if now is None:
        return None
    before = None
    if version is not None and version.reference_rows:
        before = judged(scored(here.model, of_class(here, load.frame(question(here.model), window.reference()), decided)))
    return Sides(now, before, counts, decided)


def of_class(here: Here, counts: "DataFrame", decided: str | None) -> "DataFrame":
    """The counts of rows that were decided as a class; all of them where none is named."""
    return counts if decided is None else counts[counts["decision"] == here.model.classes.index(decided)].reset_index(drop=True)


def class_words(both: Sides) -> None:
    """What the confidence in one class promised and what came true, in a sentence; nothing where all classes are looked at."""
    if both.decided is None:
        return
    rows = both.now.scored
    promised, right = (float(part.sum() / rows.total.sum()) for part in (rows.total * bin_middles(), rows.positive))
    st.markdown(
        formatting.sentence(
            f"Of {rows.n:,} labelled predictions that were decided `{both.decided}`, {formatting.share(right)} were right, where the confidence promised {formatting.share(promised)}."
        )
    )


def claims(found: Sequence[Finding]) -> str:
    """The sentences of the findings, the main one first; the takeaway of the charts."""
    for place, each in enumerate(found):
        words = formatting.sentence(each.because)
        st.markdown(f"{formatting.status(each.severity)}: {f'**{words}**' if place == 0 else words}")
    return found[0].because.replace("`", "")


def main_first(found: Sequence[Finding]) -> list[Finding]:
    """The ECE (or the slope) before the ECCE."""
    return sorted(found, key=lambda each: each.metric == "ecce")


def group_frame(side: Judged | None) -> "DataFrame":
    """score, rate, low, high, n of each group of equal mass."""
    import pandas as pd

    columns = ["score", "rate", "low", "high", "n"]
    if side is None:
        return pd.DataFrame(columns=columns, dtype=float)
    rows = pd.DataFrame({name: getattr(side.groups, name) for name in columns})
    return rows[rows["n"] > 0].reset_index(drop=True)


def steps(side: Judged) -> "DataFrame":
    """low, high, n: labelled rows by equal steps of the score."""
    import pandas as pd

    place = np.minimum((bin_middles() * STEPS).astype(int), STEPS - 1)
    ends = np.arange(STEPS + 1) / STEPS
    return pd.DataFrame({"low": ends[:-1], "high": ends[1:], "n": np.bincount(place, side.scored.total, STEPS)})


def curve(here: Here, both: Sides, said: str) -> None:
    """The reliability curve with the counts below."""
    groups, before = group_frame(both.now), group_frame(both.before)
    binary = here.model.task == "binary"
    names = {
        "score": "score" if binary else "confidence (largest probability)",
        "truth": "share that came true" if binary else "share that was right",
    }
    figure = charts_calibration.reliability(groups, steps(both.now), before, **names)
    import pandas as pd

    twin = pd.concat([groups.assign(side="now"), before.assign(side="reference")], ignore_index=True)
    on_mark = clicks.leads("reliability", lambda point: group_of(here, point, both))
    frame.chart(figure, twin, key="reliability", alt=said, metrics=("ece", "ecce"), on_select=on_mark)


def group_of(here: Here, point: clicks.Point, both: Sides) -> clicks.Cases | None:
    """The predictions of a group of equal mass, or of a step of the counts below, that was clicked; the reference leads nowhere."""
    at, shown = point.get("x"), str(point.get("customdata") or "")
    if not isinstance(at, int | float) or shown.startswith("reference"):
        return None
    if shown.startswith("now"):
        groups = both.now.groups
        nearest = int(np.abs(groups.score - at).argmin())
        edges = [None, *SCORE_EDGES.tolist(), None]
        q = clicks.between("score", edges[int(groups.first[nearest])], edges[int(groups.last[nearest]) + 1])
    else:
        step = min(int(at * STEPS), STEPS - 1)
        q = clicks.between("score", step / STEPS, (step + 1) / STEPS if step + 1 < STEPS else None)
    parts = [q, "label != null", *((clicks.equals("answer", both.decided),) if both.decided else ())]
    return clicks.Cases(here.scope, " and ".join(str(each) for each in parts), clicks.LARGEST) if all(parts) else None


def chance(both: Sides) -> None:
    """The ECE against what a model without fault shows, and what the Brier score is made of."""
    import pandas as pd

    rows = [
        {"name": name, **{key: getattr(each.ece, key) for key in ("value", "low", "high", "null_mean", "null_95", "n")}}
        for name, each in (("now", both.now), ("reference", both.before))
        if each is not None
    ]
    twin = pd.DataFrame(rows).rename(columns={"value": "ece"})
    error = both.now.ece
    beyond = "more than" if error.value > error.null_95 else "no more than"
    said = f"The ECE is {formatting.share(error.value)}, {beyond} chance gives a model without fault ({formatting.share(error.null_95)} at most, 95 times in 100)."
    st.markdown(formatting.plain(said))
    frame.chart(charts_calibration.null_strip(twin), twin, key="against-chance", alt=said, metrics=("ece",))
    cost, gain, base = brier_parts(both.now.groups)
    st.caption(
        formatting.plain(
            f"Brier score on these groups {formatting.number(cost - gain + base)}: {formatting.number(base)} for what cannot be known from the base rate, less "
            f"{formatting.number(gain)} for telling rows apart, plus {formatting.number(cost)} for scores that do not mean what they say (Murphy 1973)."
        )
    )
    st.caption("Scores are known to their bin, at most 0.0025 to either side; so far may each figure be from that of the raw scores.")


def over_time(here: Here, both: Sides) -> None:
    """The ECE by day, or by week where days hold too few labels."""
    import pandas as pd

    rows = trend(daily(here.model, both.counts))
    twin = pd.DataFrame(rows)
    if twin.empty or twin["ece"].notna().sum() < 2:
        st.caption("Too few labelled days to draw a course; choose a longer window.")
        return
    twin["period"] = pd.to_datetime(twin["period"])
    twin[["ece", "low", "high", "null_95", "n"]] = twin[["ece", "low", "high", "null_95", "n"]].astype(float)
    beyond = int((twin["ece"] > twin["null_95"]).sum())
    unit = "days" if twin["days"].iloc[0] == 1 else "weeks"
    said = f"On {beyond} of {int(twin['ece'].notna().sum())} {unit} the ECE was above what chance gives a model without fault."
    st.markdown(formatting.plain(said))
    figure = charts_calibration.trend(twin, time_series.marks(here.model.name, here.window))
    on_mark = clicks.leads("trend", lambda point: clicks.period(here, point, twin["period"], "label != null"))
    frame.chart(figure, twin, key="trend", alt=said, metrics=("ece",), on_select=on_mark)


def slope(finding: Finding) -> None:
    """Truth against prediction of a regression, by tenths of the predictions of the sample."""
    groups, before = (tenths(finding.evidence.get(key)) for key in ("groups", "groups_before"))
    if not len(groups):
        return
    twin = groups.assign(side="now")
    if len(before):
        import pandas as pd

        twin = pd.concat([twin, before.assign(side=finding.against)], ignore_index=True)
    figure = charts_calibration.line(groups, before)
    frame.chart(figure, twin, key="reliability", alt=finding.because.replace("`", ""), metrics=("calibration_slope", "bias"))
    st.caption(f"From a sample of {finding.n:,} labelled predictions, those with the smallest hash of their id.")


def tenths(rows: Any) -> "DataFrame":
    """score, rate, low, high, n from a finding's evidence."""
    import pandas as pd

    return pd.DataFrame(rows or [], columns=["score", "rate", "low", "high", "n"], dtype=float)
