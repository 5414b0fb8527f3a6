"""What does the explanations page show: what drives the scores, in which direction, since when, by which values, and how was it explained?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from observability.analyzers.trust.explanations import PAST_DAYS, ROWS
from observability.core import formatting
from observability.core.catalog import Version
from observability.core.errors import NotFoundError
from observability.core.finding import Finding, needs_action
from observability.core.questions import Aggregate, Attributions, Bucket, By
from observability.core.window import Window
from observability.dashboard import clicks, distributions, empty_states, frame, load
from observability.dashboard.case import find, load_case
from observability.dashboard.charts import explanations as charts_explanations
from observability.dashboard.choice_box import choose
from observability.dashboard.frame import Here
from observability.dashboard.sidebar import BIND
from observability.metrics.attributions import PREFIX, Explained, explained, features_of, largest_first
from observability.stats.attribution import importance
from observability.store.query.attributions import State

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

SWARM_ROWS, DEPENDENCE_ROWS, DAYS_BY_DAY, FEWEST_A_PERIOD = 250, 800, 45, 20
SERVED = Aggregate("predictions", keys=(Bucket("day"), By("status")))
SPACES = {"logit": "log odds", "log": "log of the score", "raw": "raw class score"}


@dataclass(frozen=True)
class View:
    """What the page is about: the version, its window, how it is explained, the explained predictions now and (None: there are none) before.

    rows: the frame behind `now`. against: what `before` is. decided: the one class of which all of them are (multiclass); None: of all.
    """

    version: Version
    window: Window
    state: State | None
    rows: "DataFrame"
    now: Explained
    before: Explained | None
    against: str
    decided: str | None = None

    @property
    def unit(self) -> str:
        """The unit of an attribution, in words."""
        return SPACES.get(self.now.link or "", "units of the score")

    def order(self) -> list[str]:
        """The features, those that matter most first."""
        return [self.now.names[place] for place in largest_first(self.now.names, self.now.importance().mean)]


def read(here: Here) -> View | None:
    """What is explained; None where there is no version that could be, which is then said."""
    version, window = distributions.judged_version(here.model, here.window, here.window.version)
    if version is None:
        version = newest(here.model.versions)
        window = window if version is None else replace(window, version=version.name)
    if version is None:
        empty_states.no_rows()
        return None
    rows = frame.guarded(lambda: load.attributions(Attributions(ROWS), window))
    against = "reference" if version.artifact and version.reference_rows else "past"
    other = load.attributions(Attributions(ROWS), window.reference() if against == "reference" else window.past(PAST_DAYS))
    names = features_of(rows, other) or version.features
    now = explained(rows, load.frame(SERVED, window), names)
    served = None if against == "reference" else load.frame(SERVED, window.past(PAST_DAYS))
    before = explained(other, served, names, now.link)
    state = load.explanation_state(here.model.name, version.name)
    return View(version, window, state, rows, now, before if before.n else None, against)


def choose_class(here: Here, view: View) -> View:
    """The box of a model of several classes, each of whose predictions is explained for the class that it was decided as; and the view of the one chosen."""
    if here.model.task != "multiclass":
        return view
    name = choose(
        "class", "Decided class", here.model.classes, placeholder="All classes, each prediction for its own", width=320,
        missing="The link names the class {}, which this model does not have.",
    )  # fmt: skip
    return view if name is None else of_class(view, here.model.classes.index(name), name)


def of_class(view: View, place: int, name: str) -> View:
    """The part of a view that explains one class. Rows keep the weights that they have among all: the class has as many on a day as it was decided."""
    before = None if view.before is None else kept(view.before, view.before.classes == place)
    rows = view.rows[(view.rows["class"] == place).to_numpy(bool)]
    return replace(
        view, rows=rows, now=kept(view.now, view.now.classes == place), before=before if before and before.n else None, decided=name
    )


def kept(found: Explained, mask: "NDArray[np.bool_]") -> Explained:
    """Some of the rows."""
    return replace(
        found, values=found.values[mask], weights=found.weights[mask], classes=found.classes[mask], of_day=found.of_day[mask] if found.of_day.size else found.of_day
    )  # fmt: skip


def newest(versions: Sequence[Version]) -> Version | None:
    """The version registered last; one that was never registered only where none was. None: there are none."""
    return max(
        versions,
        key=lambda each: (each.registered_at is not None, each.registered_at or datetime.min.replace(tzinfo=UTC), each.name),
        default=None,
    )


def claims(view: View, found: Sequence[Finding]) -> str:
    """The sentence about what drives the scores; drawn, with all that needs a look; returned as alternative text."""
    own = [each for each in found if each.version == view.version.name]
    if view.now.n == 0 and view.state is not None and view.state.failure:
        said = f"Version {view.version.name} is not explained: its artifact could not be run."
        st.markdown(f"{formatting.status('unknown')}: **{formatting.plain(said)}**")
        return said
    main = next((each for each in own if each.metric == "attribution_distance"), None)
    said = main.because if main else "What drives the scores was not judged in this window."
    st.markdown(f"{formatting.status(main.severity if main else 'unknown')}: **{formatting.sentence(said)}**")
    for each in own:
        if each is not main and needs_action(each.severity) and each.subject == "model":
            st.markdown(f"{formatting.status(each.severity)}: {formatting.sentence(each.because)}")
    return said.replace("`", "")


def importance_frame(view: View) -> "DataFrame":
    """feature, mean, low, high, share, share_low, share_high, n, and of the reference or past mean_before, share_before, n_before; largest first."""
    import pandas as pd

    now = view.now.importance()
    rows = pd.DataFrame(
        {
            "feature": list(view.now.names), "mean": now.mean, "low": now.low, "high": now.high, "share": now.share, "share_low": now.share_low,
            "share_high": now.share_high, "n": now.n,
        }
    )  # fmt: skip
    if view.before is not None:
        then = view.before.importance()
        rows = rows.assign(mean_before=then.mean, share_before=then.share, n_before=then.n)
    return rows.sort_values(["mean", "feature"], ascending=[False, True], kind="stable").reset_index(drop=True)


def bars(view: View, said: str) -> None:
    """Mean absolute attributions, and how they came about."""
    rows = importance_frame(view)
    against = None if view.before is None else ("reference" if view.against == "reference" else f"the {PAST_DAYS} days before")
    figure = charts_explanations.bars(rows, unit=view.unit, against=against)
    st.caption(formatting.plain(provenance(view)))
    frame.chart(figure, rows, key="importance", alt=said, metrics=("attribution_share", "attribution_distance", "attribution_ndcg"))


def provenance(view: View) -> str:
    """How many predictions were explained and how, from which base value, against which background, and whether they add up."""
    now, state = view.now, view.state
    of = f"{now.n:,} explained predictions of {now.served:,}"
    if view.decided is not None:
        of = f"{now.n:,} explained predictions that were decided {view.decided}, for that class, among {now.served:,} predictions"
    elif np.unique(now.classes).size > 1:
        of += ", each for the class that it was decided as"
    parts = [f"{of}: a sample of each day, by a hash of the id, weighted to the day"]
    usable = view.rows[view.rows["adds_up"] & view.rows["sampled"]]
    methods = sorted(set(usable["method"]))
    how = {"logged": "as logged with the predictions"}
    parts.append(f"method: {', '.join(how.get(each, each) for each in methods)}")
    if len(usable):
        base = usable["base"]
        about = "" if base.nunique() == 1 else " on average"
        parts.append(f"base value {formatting.number(float(base.mean()))}{about} in {view.unit}")
        parts.append(f"largest residual {formatting.number(float(usable['residual'].abs().max()))}")
    if state is not None and state.background and methods != ["logged"]:
        size = f" ({state.background_rows:,} rows)" if state.background_rows else ""
        parts.append(f"background: {state.background}{size}")
    if now.left_out:
        parts.append(f"{now.left_out:,} rows that do not add up within 1 % are left out")
    said = "; ".join(parts) + "."
    return f"{said} {state.note}" if state is not None and state.note else said


def swarm(here: Here, view: View) -> None:
    """The beeswarm of a small sample."""
    order = view.order()[: charts_explanations.MOST_ROWS]
    rows = points(here, view, order, SWARM_ROWS)
    n = rows["id"].nunique()
    figure = charts_explanations.beeswarm(rows, features=order, unit=view.unit)
    said = f"One point for each of {n:,} predictions in each row. Points of categories, which have no order, and missing values are grey."
    st.caption(formatting.plain(said))
    frame.chart(
        figure,
        rows.drop(columns="raw"),
        key="swarm",
        alt=f"Attributions of {n:,} predictions by feature. {said}",
        metrics=("attribution_share",),
        on_select=find.opens("swarm", here.model.name),
    )


def points(here: Here, view: View, features: Sequence[str], most: int) -> "DataFrame":
    """Explained predictions with values, one row for each prediction and feature: id, at, feature, value (text), raw, rank, attribution."""
    import pandas as pd

    references = {name: column for name in features if (column := here.model.column(f"feature.{name}")) is not None}
    asked = Attributions(most if view.decided is None else ROWS, tuple(each.reference for each in references.values()))
    rows = load.attributions(asked, view.window)
    rows = rows[rows["adds_up"] & (rows["link"] == view.now.link)]
    if view.decided is not None:
        rows = rows[rows["class"] == here.model.classes.index(view.decided)].head(most)
    parts = []
    for name in features:
        column = references.get(name)
        raw = rows[column.reference] if column else pd.Series([None] * len(rows), index=rows.index, dtype=object)
        numbers = column is not None and column.kind == "number"
        parts.append(
            pd.DataFrame(
                {
                    "id": rows["id"], "at": rows["at"], "feature": name,
                    "value": [in_words(each, known=column is not None) for each in raw],
                    "raw": raw if numbers else raw.map(lambda each: None if each is None else in_words(each, known=True)),
                    "rank": raw.rank(pct=True) if numbers else np.nan, "attribution": rows[f"{PREFIX}{name}"],
                }
            ).astype({"raw": object})
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def in_words(value: object, *, known: bool) -> str:
    """A feature's value for a person; `known`: whether the store has a column of that name."""
    if not known:
        return "not stored"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "null or NaN" if value != value else formatting.number(value, 5)
    return str(value)


def time_frame(view: View) -> tuple["DataFrame", str]:
    """Share of attribution by day (by week in long windows): period, feature, share, low, high, n; and which of the two."""
    import pandas as pd

    step = charts_explanations.DAY if view.window.days <= DAYS_BY_DAY else charts_explanations.WEEK
    rows = view.rows[view.rows["adds_up"] & view.rows["sampled"] & (view.rows["link"] == view.now.link)]
    period = rows["at"].dt.floor("D")
    if step == charts_explanations.WEEK:
        period = period - pd.to_timedelta(period.dt.dayofweek, unit="D")
    order, found = view.order()[: charts_explanations.MOST_LINES], []
    for at, part in rows.groupby(period):
        if len(part) < FEWEST_A_PERIOD:
            continue
        values = part[[f"{PREFIX}{name}" for name in view.now.names]].fillna(0.0).to_numpy(np.float64)
        each = importance(values, part["weight"].to_numpy(np.float64))
        found += [
            (at, name, each.share[k], each.share_low[k], each.share_high[k], each.n)
            for k, name in enumerate(view.now.names)
            if name in order
        ]
    return pd.DataFrame(found, columns=["period", "feature", "share", "low", "high", "n"]), step


def over_time(here: Here, view: View) -> None:
    """Importance over time; a mark leads to the predictions of its period, of which a sample was explained."""
    rows, step = time_frame(view)
    if rows["period"].nunique() < 2:
        st.caption(f"Not enough explained days to draw: a {step} needs {FEWEST_A_PERIOD} explained predictions.")
        return
    order = view.order()
    turn = rows.groupby("feature")["share"].agg(lambda each: each.max() - each.min())
    most = str(turn.idxmax())
    said = f"By {step}, the share of {most} moved most: between {formatting.share(rows.loc[rows['feature'] == most, 'share'].min())} and {formatting.share(rows.loc[rows['feature'] == most, 'share'].max())}."
    st.markdown(formatting.plain(said))
    frame.chart(
        charts_explanations.over_time(rows, features=order, step=step),
        rows,
        key="over-time",
        alt=said,
        metrics=("attribution_share",),
        on_select=clicks.leads("over-time", lambda point: clicks.period(here, point, rows["period"], clicks.EVERY, clicks.NEWEST)),
    )


def dependence(here: Here, view: View) -> None:
    """How one feature's value goes with its attribution; the feature is in the address."""
    order = view.order()
    named = st.session_state["feature"] if "feature" in st.session_state else st.query_params.get("feature")
    if named and named not in order:
        st.warning(
            f"The link names {formatting.plain(named)}, which is not among the features that are explained.", icon=":material/link_off:"
        )
    st.selectbox("Feature", order, index=None, placeholder="The one that matters most", key="feature", bind=BIND, width=320)
    chosen = named if named in order else order[0]
    column = here.model.column(f"feature.{chosen}")
    if column is None:
        st.caption(formatting.plain(f"The values of {chosen} are not stored: it is named in logged attributions only."))
        return
    rows = points(here, view, [chosen], DEPENDENCE_ROWS)
    mark = marked(here, chosen, view.now.link)
    kind = "number" if column.kind == "number" else "category"
    said = trend(rows, chosen, kind, view.unit)
    st.markdown(formatting.sentence(said))
    figure = charts_explanations.dependence(rows, feature=chosen, kind=kind, unit=view.unit, mark=mark)
    if mark is not None:
        st.caption(
            formatting.plain(
                f"The diamond is the case {mark['id']}: {chosen} = {mark['value']} moved its score by {signed(mark['attribution'])}."
            )
        )
    frame.chart(
        figure,
        rows.drop(columns=["raw", "rank"]),
        key="dependence",
        alt=said.replace("`", ""),
        metrics=("attribution_share",),
        on_select=find.opens("dependence", here.model.name),
    )


def marked(here: Here, feature: str, link: str | None) -> dict[str, Any] | None:
    """The prediction that the address names, as a point of the plot: id, raw, value, attribution; None where none is named or nothing is known of it."""
    name = st.query_params.get("id")
    if not name:
        return None
    try:
        opened = load_case.opened(name, here.model.name)
    except NotFoundError:
        st.warning(formatting.plain(f"The link names the case {name[:80]}, which is not in {here.model.name}."), icon=":material/link_off:")
        return None
    found = load_case.known_contrast(opened)
    bar = next((each for each in found.bars if each.feature == feature), None) if found is not None and found.link == link else None
    if bar is None:
        return None
    raw = opened.look.row.features.get(feature)
    return {"id": name, "raw": raw, "value": in_words(raw, known=True), "attribution": bar.attribution}


def trend(rows: "DataFrame", feature: str, kind: str, unit: str) -> str:
    """Which values raise and which lower the score most, in one sentence."""
    n = len(rows)
    known = rows[rows["raw"].map(lambda each: each is not None and each == each)]
    if not len(known):
        return f"`{feature}` is missing in all {n:,} predictions that are drawn."
    if kind == "number":
        values = known["raw"].astype(float)
        thirds = values.rank(pct=True)
        ends = [(f"the lowest third (up to {formatting.number(float(values[thirds <= 1 / 3].max()))})", thirds <= 1 / 3),
                (f"the highest third (from {formatting.number(float(values[thirds > 2 / 3].min()))})", thirds > 2 / 3)]  # fmt: skip
        parts = [f"{signed(float(known.loc[mask, 'attribution'].mean()))} in {name}" for name, mask in ends if mask.any()]
        return f"`{feature}` moves the score by {' and '.join(parts)} on average, in {unit}; {n:,} predictions."
    means = known.groupby("raw")["attribution"].agg(["mean", "size"])
    means = means[means["size"] >= 5]
    if len(means) < 2:
        return f"`{feature}` of {n:,} predictions: too few of each level to say which raises the score."
    high, low = means["mean"].idxmax(), means["mean"].idxmin()
    return (
        f"`{feature}` raises the score most for {high} ({signed(float(means['mean'].max()))}) and least for {low} "
        f"({signed(float(means['mean'].min()))}) on average, in {unit}; {n:,} predictions."
    )


def signed(value: float) -> str:
    """A number with its sign."""
    return f"+{formatting.number(value)}" if value > 0 else formatting.number(value)
