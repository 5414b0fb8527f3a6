"""The explanations page: importance, direction and trend of attributions, the dependence on one feature, and how the attributions were
computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from observability.analyzers.trust.explanations import PAST_DAYS, ROWS
from observability.core import formatting
from observability.core.catalog import Version
from observability.core.errors import NotFoundError
from observability.core.finding import Finding, needs_action
from observability.core.questions import Aggregate, Attributions, Bucket, By
from observability.core.window import Window
from observability.dashboard import clicks, distributions, empty_states, frame, load
from observability.dashboard.case import find_case, load_case
from observability.dashboard.charts import explanations as charts_explanations
from observability.dashboard.choice_box import address_selectbox, feature_in_address, link_warning
from observability.dashboard.frame import ModelPage
from observability.dashboard.scope import BIND
from observability.dashboard.widgets import finding_line, plain_caption, plain_paragraph
from observability.metrics.attributions import PREFIX, ExplainedSample, attributed_features, explained_sample, largest_first
from observability.stats.attribution import feature_importance, is_other_inputs
from observability.store.types.explanations import ExplanationState

if TYPE_CHECKING:
    from numpy.typing import NDArray


SWARM_ROWS, DEPENDENCE_ROWS, DAYS_BY_DAY, MIN_A_PERIOD = 250, 800, 45, 20
SERVED = Aggregate("predictions", keys=(Bucket("day"), By("status")))
SPACES = {"logit": "log odds", "log": "log of the score", "raw": "raw class score"}


@dataclass(frozen=True)
class ExplanationView:
    """The data of the page: version, window, state of the explanations, and the explained predictions in the window and in the baseline
    (None if there are none).

    rows: the frame from which `now` was made. against: the name of the baseline in `before`. decided: the class to which all predictions
    are limited (multiclass model); None for all classes.
    """

    version: Version
    window: Window
    state: ExplanationState | None
    rows: pd.DataFrame
    now: ExplainedSample
    before: ExplainedSample | None
    against: str
    decided: str | None = None

    @property
    def unit(self) -> str:
        """The unit of an attribution, in words."""
        return SPACES.get(self.now.link or "", "units of the score")

    def order(self) -> list[str]:
        """The features, most important first."""
        return [self.now.names[place] for place in largest_first(self.now.names, self.now.importance().mean)]

    def single_features(self) -> list[str]:
        """The features that are explained individually, most important first; the sum of the other features is left out."""
        return [name for name in self.order() if not is_other_inputs(name, self.version.features)]


def explanation_view(here: ModelPage) -> ExplanationView | None:
    """The explained predictions; None, with an empty state, if there is no version."""
    version, window = distributions.analyzed_version(here.model, here.window, here.window.version)
    if version is None:
        version = newest_version(here.model.versions)
        window = window if version is None else replace(window, version=version.name)
    if version is None:
        empty_states.no_rows_state()
        return None
    rows = frame.answer_or_stop(lambda: load.ask_store(Attributions(ROWS), window))
    against = "reference" if version.artifact and version.reference_rows else "past"
    other = load.ask_store(Attributions(ROWS), window.reference() if against == "reference" else window.past(PAST_DAYS))
    names = attributed_features(rows, other) or version.features
    now = explained_sample(rows, load.ask_store(SERVED, window), names)
    served = None if against == "reference" else load.ask_store(SERVED, window.past(PAST_DAYS))
    before = explained_sample(other, served, names, now.link)
    state = load.explanation_state(here.model.name, version.name)
    return ExplanationView(version, window, state, rows, now, before if before.n else None, against)


def chosen_explained_class(here: ModelPage, view: ExplanationView) -> ExplanationView:
    """The view of the class that is chosen in a box (multiclass only). Each prediction is explained for the class that the model
    decided.
    """
    if here.model.task != "multiclass":
        return view
    missing = "The link names the class {}, which this model does not have."
    name = address_selectbox("class", "Decided class", here.model.classes, placeholder="All classes", width=320, missing=missing)
    return view if name is None else view_of_class(view, here.model.classes.index(name), name)


def view_of_class(view: ExplanationView, place: int, name: str) -> ExplanationView:
    """The part of a view that explains one class. The rows keep the weights that they have among all classes."""
    before = None if view.before is None else _masked_rows(view.before, view.before.classes == place)
    rows = view.rows[(view.rows["class"] == place).to_numpy(bool)]
    now = _masked_rows(view.now, view.now.classes == place)
    return replace(view, rows=rows, now=now, before=before if before and before.n else None, decided=name)


def _masked_rows(found: ExplainedSample, mask: "NDArray[np.bool_]") -> ExplainedSample:
    """The explained sample restricted to the rows of a mask."""
    days = found.of_day[mask] if found.of_day.size else found.of_day
    return replace(found, values=found.values[mask], weights=found.weights[mask], classes=found.classes[mask], of_day=days)


def newest_version(versions: Sequence[Version]) -> Version | None:
    """The version that was registered last; if none is registered, an unregistered version; None without versions."""
    never = datetime.min.replace(tzinfo=UTC)
    return max(versions, key=lambda each: (each.registered_at is not None, each.registered_at or never, each.name), default=None)


def main_explanation_finding(view: ExplanationView, found: Sequence[Finding]) -> str:
    """Draw the finding about importance, and other findings that need attention. Returns the first sentence, for use as the alternative
    text of the charts.
    """
    own = [each for each in found if each.version == view.version.name]
    if view.now.n == 0 and view.state is not None and view.state.failure:
        said = f"Version {view.version.name} is not explained: its artifact failed to run."
        st.markdown(f"{formatting.status_label('unknown')}: **{formatting.escape_markdown(said)}**")
        return said
    main = next((each for each in own if each.metric == "attribution_distance"), None)
    said = main.because if main else "Importance was not judged in this window."
    st.markdown(f"{formatting.status_label(main.severity if main else 'unknown')}: **{formatting.sentence_markdown(said)}**")
    for each in own:
        if each is not main and needs_action(each.severity) and each.subject == "model":
            finding_line(each)
    return said.replace("`", "")


def importance_frame(view: ExplanationView) -> pd.DataFrame:
    """Importance by feature, largest first. Columns: feature, mean, low, high, share, share_low, share_high, n; and mean_before,
    share_before, n_before if they are known.
    """
    now = view.now.importance()
    names = ("mean", "low", "high", "share", "share_low", "share_high", "n")
    rows = pd.DataFrame({"feature": list(view.now.names), **{name: getattr(now, name) for name in names}})
    if view.before is not None:
        then = view.before.importance()
        rows = rows.assign(mean_before=then.mean, share_before=then.share, n_before=then.n)
    return rows.sort_values(["mean", "feature"], ascending=[False, True], kind="stable").reset_index(drop=True)


def importance_chart(view: ExplanationView, said: str) -> None:
    """Draw the mean absolute attributions, and how they were computed."""
    rows = importance_frame(view)
    against = None if view.before is None else ("reference" if view.against == "reference" else f"the {PAST_DAYS} days before")
    figure = charts_explanations.importance_bars(rows, unit=view.unit, against=against)
    explained, *method = explanation_provenance(view)
    plain_caption(f"{explained}.", details=f"{'; '.join(method)}.")
    metrics = ("attribution_share", "attribution_distance", "attribution_ndcg")
    frame.chart_with_table(figure, rows, key="importance", alt=said, metrics=metrics)


def explanation_provenance(view: ExplanationView) -> list[str]:
    """Parts of a sentence: first the number of explained predictions; then how they were sampled, the method, base value, largest residual
    and background.
    """
    now, state = view.now, view.state
    of = f"{now.n:,} explained predictions of {now.served:,}"
    if view.decided is not None:
        of = f"{now.n:,} explained predictions decided {view.decided} (attributions for that class), of {now.served:,} predictions"
    elif np.unique(now.classes).size > 1:
        of += ", attributions for the decided class of each"
    parts = [of, "sampled by day (hash of the id) and weighted to all predictions of the day"]
    usable = view.rows[view.rows["adds_up"] & view.rows["sampled"]]
    methods = sorted(set(usable["method"]))
    how = {"logged": "logged with the predictions"}
    parts.append(f"method: {', '.join(how.get(each, each) for each in methods)}")
    if len(usable):
        base = usable["base"]
        about = "" if base.nunique() == 1 else " on average"
        parts.append(f"base value {formatting.format_number(float(base.mean()))}{about} in {view.unit}")
        parts.append(f"largest residual {formatting.format_number(float(usable['residual'].abs().max()))}")
    if state is not None and state.background and methods != ["logged"]:
        size = f" ({state.background_rows:,} rows)" if state.background_rows else ""
        parts.append(f"background: {state.background}{size}")
    if now.left_out:
        parts.append(f"{now.left_out:,} rows excluded (residual above 1 %)")
    return [*parts, state.note.rstrip(".")] if state is not None and state.note else parts


def beeswarm_chart(here: ModelPage, view: ExplanationView) -> None:
    """Draw a beeswarm plot of the attributions of a small sample."""
    order = view.order()[: charts_explanations.MAX_ROWS]
    rows = _attribution_points(here, view, order, SWARM_ROWS)
    n = rows["id"].nunique()
    figure = charts_explanations.attribution_beeswarm(rows, features=order, unit=view.unit)
    said = f"One point per prediction ({n:,}) and feature. Categories and missing values are grey."
    plain_caption(said)
    alt = f"Attributions of {n:,} predictions by feature. {said}"
    _attributions_chart(here, figure, rows.drop(columns="raw"), "swarm", alt)


def _attributions_chart(here: ModelPage, figure: Any, rows: pd.DataFrame, key: str, alt: str) -> None:
    """Draw a chart of attributions of single predictions; a click on a point opens its case."""
    on_point = find_case.open_clicked_case(key, here.model.name)
    frame.chart_with_table(figure, rows, key=key, alt=alt, metrics=("attribution_share",), on_select=on_point)


def _attribution_points(here: ModelPage, view: ExplanationView, features: Sequence[str], most: int) -> pd.DataFrame:
    """One row for each explained prediction and feature: id, at, feature, value (as text), raw, rank, attribution."""
    references = {name: column for name in features if (column := here.model.column(f"feature.{name}")) is not None}
    asked = Attributions(most if view.decided is None else ROWS, tuple(each.reference for each in references.values()))
    rows = load.ask_store(asked, view.window)
    rows = rows[rows["adds_up"] & (rows["link"] == view.now.link)]
    if view.decided is not None:
        rows = rows[rows["class"] == here.model.classes.index(view.decided)].head(most)
    parts = []
    for name in features:
        column = references.get(name)
        raw = rows[column.reference] if column else pd.Series([None] * len(rows), index=rows.index, dtype=object)
        numbers = column is not None and column.kind == "number"
        stored = raw if numbers else raw.map(lambda value: None if value is None else attribution_value_words(value, known=True))
        columns: dict[str, Any] = {"id": rows["id"], "at": rows["at"], "feature": name}
        columns |= {"value": [attribution_value_words(value, known=column is not None) for value in raw], "raw": stored}
        columns |= {"rank": raw.rank(pct=True) if numbers else np.nan, "attribution": rows[f"{PREFIX}{name}"]}
        parts.append(pd.DataFrame(columns).astype({"raw": object}))
    return pd.concat(parts, ignore_index=True)


def attribution_value_words(value: object, *, known: bool) -> str:
    """The value of a feature as text. known: whether the store has a column for this feature."""
    if not known:
        return "not stored"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "null or NaN" if value != value else formatting.format_number(value, 5)
    return str(value)


def attribution_share_by_period(view: ExplanationView) -> tuple[pd.DataFrame, str]:
    """The share of attribution by day, or by week in long windows (period, feature, share, low, high, n), and the length of a period in
    words.
    """
    step = charts_explanations.DAY if view.window.days <= DAYS_BY_DAY else charts_explanations.WEEK
    rows = view.rows[view.rows["adds_up"] & view.rows["sampled"] & (view.rows["link"] == view.now.link)]
    period = rows["at"].dt.floor("D")
    if step == charts_explanations.WEEK:
        period = period - pd.to_timedelta(period.dt.dayofweek, unit="D")
    order, found = view.order()[: charts_explanations.MAX_LINES], []
    for at, part in rows.groupby(period):
        if len(part) < MIN_A_PERIOD:
            continue
        values = part[[f"{PREFIX}{name}" for name in view.now.names]].fillna(0.0).to_numpy(np.float64)
        each = feature_importance(values, part["weight"].to_numpy(np.float64))
        found += [
            (at, name, each.share[k], each.share_low[k], each.share_high[k], each.n)
            for k, name in enumerate(view.now.names)
            if name in order
        ]
    return pd.DataFrame(found, columns=["period", "feature", "share", "low", "high", "n"]), step


def attribution_over_time_chart(here: ModelPage, view: ExplanationView) -> None:
    """Draw importance over time. A click opens all predictions of the period, although only a sample of them was explained."""
    rows, step = attribution_share_by_period(view)
    if rows["period"].nunique() < 2:
        st.caption(f"Too few explained periods: a {step} needs {MIN_A_PERIOD} explained predictions.")
        return
    order = view.order()
    turn = rows.groupby("feature")["share"].agg(lambda each: each.max() - each.min())
    most = str(turn.idxmax())
    shares = rows.loc[rows["feature"] == most, "share"]
    ends = formatting.format_interval(float(shares.min()), float(shares.max()), "share")
    said = f"Largest range by {step}: the share of {most}, {ends}."
    plain_paragraph(said)
    figure = charts_explanations.importance_over_time(rows, features=order, step=step)
    on_mark = clicks.periods_on_click("over-time", here, rows["period"])
    frame.chart_with_table(figure, rows, key="over-time", alt=said, metrics=("attribution_share",), on_select=on_mark)


def dependence_section(here: ModelPage, view: ExplanationView) -> None:
    """Draw the attribution of one feature against its value; the address holds the feature."""
    order = view.single_features()
    named = feature_in_address()
    if named and named not in order:
        link_warning(unexplained_feature_words(view, named))
    st.selectbox("Feature", order, index=None, placeholder="Most important", key="feature", bind=BIND, width=320)
    chosen = named if named in order else order[0]
    column = here.model.column(f"feature.{chosen}")
    if column is None:
        plain_caption(f"The values of {chosen} are not stored; it occurs in logged attributions only.")
        return
    rows = _attribution_points(here, view, [chosen], DEPENDENCE_ROWS)
    mark = _marked_case(here, chosen, view.now.link)
    kind = "number" if column.kind == "number" else "category"
    said = dependence_sentence(rows, chosen, kind, view.unit)
    st.markdown(formatting.sentence_markdown(said))
    figure = charts_explanations.dependence_plot(rows, feature=chosen, kind=kind, unit=view.unit, mark=mark)
    if mark is not None:
        moved = f"{chosen} = {mark['value']}, attribution {_signed_number(mark['attribution'])}"
        plain_caption(f"Diamond: case {mark['id']}, {moved}.")
    _attributions_chart(here, figure, rows.drop(columns=["raw", "rank"]), "dependence", said.replace("`", ""))


def unexplained_feature_words(view: ExplanationView, named: str) -> str:
    """A sentence that the feature in the address has no explanation, or is explained only as part of a sum."""
    others = set(view.now.names) - set(view.single_features())
    if others and named in view.version.features:
        return f"The link names {named}, one of the {min(others)}, which are explained as one sum."
    return f"The link names {named}, which is not an explained feature."


def _marked_case(here: ModelPage, feature: str, link: str | None) -> dict[str, Any] | None:
    """The prediction in the address as a point of the plot: id, raw, value, attribution; None if there is none."""
    name = st.query_params.get("id")
    if not name:
        return None
    try:
        opened = load_case.opened_case(name, here.model.name)
    except NotFoundError:
        link_warning(f"The link names the case {name[:80]}, which is not in {here.model.name}.")
        return None
    found = load_case.known_contrast(opened)
    bar = next((each for each in found.bars if each.feature == feature), None) if found is not None and found.link == link else None
    if bar is None:
        return None
    raw = opened.look.row.features.get(feature)
    return {"id": name, "raw": raw, "value": attribution_value_words(raw, known=True), "attribution": bar.attribution}


def dependence_sentence(rows: pd.DataFrame, feature: str, kind: str, unit: str) -> str:
    """A sentence that names the values with the highest and the lowest attribution."""
    n = len(rows)
    known = rows[rows["raw"].map(lambda each: each is not None and each == each)]
    if not len(known):
        return f"`{feature}` is missing in all {n:,} predictions of the plot."
    if kind == "number":
        values = known["raw"].astype(float)
        thirds = values.rank(pct=True)
        lowest, highest = thirds <= 1 / 3, thirds > 2 / 3
        ends = [
            (f"the lowest third (up to {formatting.format_number(float(values[lowest].max()))})", lowest),
            (f"the highest third (from {formatting.format_number(float(values[highest].min()))})", highest),
        ]
        parts = [f"{_signed_number(float(known.loc[mask, 'attribution'].mean()))} in {name}" for name, mask in ends if mask.any()]
        return f"Mean attribution of `{feature}`: {', '.join(parts)}, in {unit}; {n:,} predictions."
    means = known.groupby("raw")["attribution"].agg(["mean", "size"])
    means = means[means["size"] >= 5]
    if len(means) < 2:
        return f"Too few predictions per level of `{feature}` to compare ({n:,} predictions)."
    mean = means["mean"]
    first, last = f"{mean.idxmax()} ({_signed_number(float(mean.max()))})", f"{mean.idxmin()} ({_signed_number(float(mean.min()))})"
    return f"Mean attribution of `{feature}`: highest for {first}, lowest for {last}, in {unit}; {n:,} predictions."


def _signed_number(value: float) -> str:
    """A number with its sign."""
    return f"+{formatting.format_number(value)}" if value > 0 else formatting.format_number(value)
