"""What does the fairness page show: which attribute and criterion, how each group fares, and pairs of groups?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from observability.analyzers.trust._criteria import CRITERIA, RATIO_BAND, Criterion, criterion_of, level, overall
from observability.analyzers.trust._groups import (
    MOST_CLASSES,
    Attribute,
    Groups,
    attributes,
    enough,
    measure,
    of_class,
    question,
    rate_of,
    rows_needed,
)
from observability.analyzers.trust._words import ROWS, because_level, difference
from observability.export_csv import inert_csv
from observability.finding import Finding
from observability.stats.group import Spread
from observability.stats.interval import rate_ratio_interval
from observability.views import charts_fairness, clicks, distributions, empty, frame, links, load, person, text
from observability.views.choice import choose
from observability.views.frame import Here
from observability.views.table import Cell, column, row, table
from observability.window import Slice, Window

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_PAIRS = 40
NOTE = (
    "**These criteria exclude each other here.** The share of positives in the labels differs between the groups ({}). Then no model that errs at all "
    "can treat the groups alike by demographic parity, equalized odds and predictive parity at once (Kleinberg, Mullainathan and Raghavan 2016; "
    "Chouldechova 2017). So choose one, for a reason that you can give to those who are judged; it stands on record with the model."
)


@dataclass(frozen=True)
class Chosen:
    """What the page is about: the attribute, the criterion that is looked at, the groups now and (None: no reference) in the reference.

    of: the one class of several whose rates are drawn; None: the criterion's own.
    """

    attribute: Attribute
    criterion: Criterion
    now: Groups
    before: Groups | None
    window: Window
    of: str | None = None

    @property
    def rates(self) -> tuple[str, ...]:
        """The rates that are drawn."""
        return (
            self.criterion.rates if self.of is None else tuple(of_class(rate, self.of) for rate in ("true_positive_rate", "selection_rate"))
        )


def available(here: Here) -> tuple[list[Attribute], Window]:
    """The sensitive attributes that can be grouped by, and the window of the version that is judged."""
    version, window = distributions.judged_version(here.model, here.window, here.window.version)
    return attributes(here.model, version), window


def none_registered(here: Here) -> None:
    """The page of a model without sensitive attributes: how to add them."""
    empty.nothing(
        f"No sensitive attribute is known for {text.plain(here.model.name)}, so its groups cannot be compared.",
        "Register this version again and name the columns, as `--sensitive sex --sensitive age`; they need not be features. Log them under `groups` "
        "where the model does not see them.",
        "add_model",
        "Register",
    )


def choices(here: Here) -> Chosen | None:
    """The boxes for attribute and criterion, and what they lead to; None where there is nothing to show, which is then said."""
    found, window = available(here)
    if not found:
        none_registered(here)
        return None
    names = [each.name for each in found]
    with st.container(horizontal=True, gap="medium"):
        name = choose(
            "attribute", "Attribute", names, placeholder=names[0], width=240,
            missing="The link names the attribute {}, which this model does not have.",
        )  # fmt: skip
        attribute = found[names.index(name or names[0])]
        now, before = both(here, window, [attribute])
        criterion = criterion_of(here.model, now)
        if criterion is None:
            return None
        if here.model.task == "binary":
            criterion = choose_criterion(criterion)
        of = choose_class(here) if here.model.task == "multiclass" else None
    if now.rows.sum() == 0:
        empty.no_rows()
        return None
    return Chosen(attribute, criterion, now, before, window, of)


def choose_class(here: Here) -> str | None:
    """The box of a model of several classes: whose rates are drawn by group."""
    return choose(
        "class", "Class", here.model.classes[:MOST_CLASSES], placeholder="Whether decisions are right", width=280,
        missing="The link names the class {}, which this model does not have.",
    )  # fmt: skip


def title(rate: str) -> str:
    """A rate in words: of one class of several, how often its labels are found, and how often it is decided."""
    name, _, of = rate.partition(" of ")
    return f"{'Found' if name == 'true_positive_rate' else 'Decided'} as {of}" if of else text.metric_title(name)


def counted(rate: str) -> str:
    """What the rows of a rate are called."""
    name, _, of = rate.partition(" of ")
    if of:
        return f"labelled {of}" if name == "true_positive_rate" else "decisions"
    return ROWS.get(rate, "labelled rows" if rate in ("accuracy", "mae") else "decisions")


def class_words(chosen: Chosen) -> None:
    """How far groups differ in the rates of one class; nothing where none is chosen. Looked at, not judged."""
    if chosen.of is None:
        return
    for rate in chosen.rates:
        keep = np.asarray(enough(chosen.now, rate))
        if keep.sum() < 2:
            st.markdown(text.plain(f"{title(rate)}: fewer than two groups are large enough to compare."))
            continue
        names = [name for name, held in zip(chosen.now.names, keep) if held]
        st.markdown(text.plain(f"{title(rate)}: {sure_words(rate, names, chosen.now.metrics[rate].at(keep).spread())}"))
    st.caption("Looked at; a model of several classes is held against equal accuracy.")


def choose_criterion(usual: Criterion) -> Criterion:
    """The box for the criterion that is looked at, first the one that the model is held against."""
    of_metric = {each.metric: each for each in CRITERIA.values()}
    order = [usual.metric, *(each for each in of_metric if each != usual.metric)]
    metric = choose(
        "metric", "Criterion", order, words=lambda each: of_metric[each].title if each in of_metric else each, placeholder=usual.title, width=280,
        missing="The link names the criterion {}, which there is not.",
    )  # fmt: skip
    return of_metric[metric or usual.metric]


def both(here: Here, window: Window, chosen: Sequence[Attribute]) -> tuple[Groups, Groups | None]:
    """The groups now, and at the same places in the reference."""
    asked = question(here.model, chosen)
    now = measure(here.model, frame.guarded(lambda: load.frame(asked, window)), chosen)
    if window.version is None:
        return now, None
    before = load.frame(asked, replace(window.reference(), slice=None))
    return now, measure(here.model, before, chosen).aligned(now.levels) if len(before) else None


def claims(here: Here, chosen: Chosen, found: Sequence[Finding]) -> str:
    """The sentence about the criterion that is looked at; drawn, and returned as the charts' alternative text."""
    about = [each for each in found if each.subject == chosen.attribute.name]
    metrics = (chosen.criterion.metric, *(("demographic_parity_ratio",) if chosen.criterion.name == "demographic_parity" else ()))
    held = next((each for each in about if each.metric in metrics), None)
    if held is not None:
        word = "Stood before" if held.evidence.get("stood_in_reference") and held.severity == "ok" else None
        st.markdown(f"{text.status(held.severity, word)}: **{text.sentence(held.because)}**")
        said = held.because
    else:
        judged = level(chosen.criterion, chosen.now, chosen.before, here.model.settings)
        said = (
            because_level(here.model, chosen.attribute, chosen.now, judged, "ok")
            if judged
            else f"Fewer than two groups of `{chosen.attribute.name}` are large enough to compare by this criterion."
        )
        st.markdown(f"**{text.sentence(said)}** :gray[Looked at; the model is not held against this criterion.]")
    for each in found:
        if each.subject.startswith(f"{chosen.attribute.name}=") and each.severity in ("act", "watch"):
            st.markdown(f"{text.status(each.severity)}: {text.sentence(each.because)}")
    return said.replace("`", "")


def note(here: Here, chosen: Chosen) -> None:
    """What the criterion asks, whether criteria exclude each other here, and how to make it the model's."""
    criterion, settled = chosen.criterion, here.model.settings.fairness_criterion
    st.caption(text.plain(f"{criterion.title}: {criterion.asks}."))
    if here.model.task != "binary":
        return
    rates = chosen.now.metrics["base_rate"]
    keep = enough(chosen.now, "base_rate")
    if keep.sum() >= 2 and rates.at(keep).spread().p_value < 0.05:
        low, high = (int(np.flatnonzero(keep)[place]) for place in (rates.at(keep).value.argmin(), rates.at(keep).value.argmax()))
        ends = f"{text.share(rates.value[low])} for {chosen.now.names[low]}, {text.share(rates.value[high])} for {chosen.now.names[high]}"
        st.info(NOTE.format(text.plain(ends)), icon=":material/balance:")
    if settled == criterion.name:
        st.caption(text.plain(f"The owner of {here.model.name} chose this criterion."))
        return
    words = f"The owner chose {CRITERIA[settled].title.lower()}." if settled in CRITERIA else "The owner has chosen no criterion yet."
    with st.popover(f"{words} Choose {criterion.title.lower()}?", icon=":material/gavel:"):
        st.markdown(text.plain(f"From then on {here.model.name} is held against {criterion.title.lower()}: {criterion.asks}."))
        if st.button(f"Choose {criterion.title.lower()}", type="primary", key="choose-criterion"):
            save(here, criterion)


def save(here: Here, criterion: Criterion) -> None:
    """Make a criterion the model's, in its settings."""
    from observability import rules

    frame.guarded(
        lambda: rules.keep(
            load.store(), here.model.name, replace(here.model.settings, fairness_criterion=criterion.name), author=person.known()
        )
    )
    st.rerun()


def rate_frame(now: Groups, before: Groups | None, metric: str) -> "DataFrame":
    """group, value, low, high, n, what, enough, reference, needs (rows more until it can be judged; None where it can)."""
    import pandas as pd

    measured, keep = now.metrics[metric], enough(now, metric)
    return pd.DataFrame(
        {
            "group": now.names, "value": measured.value, "low": measured.low, "high": measured.high, "n": np.rint(measured.n).astype(int),
            "what": counted(metric), "enough": keep,
            "reference": np.full(len(now.names), np.nan) if before is None else before.metrics[metric].value,
            "needs": [None if keep[place] else rows_needed(now, metric, place) for place in range(len(now.names))],
        }
    )  # fmt: skip


def dots(here: Here, chosen: Chosen, alt: str) -> None:
    """A dot plot for each rate of the criterion, and the ratio of selection rates."""
    charts: list[tuple[str, Any]] = [(rate, rate_frame(chosen.now, chosen.before, rate)) for rate in chosen.rates]
    places = st.columns(2, gap="large") if here.model.task == "binary" or chosen.of else [st.container()]
    for number, (rate, rows) in enumerate(charts):
        unit = "share" if chosen.now.metrics[rate].successes is not None else ""
        with places[number % len(places)]:
            st.subheader(text.plain(title(rate)), anchor=False)
            figure = charts_fairness.dots(
                rows, name=title(rate) if chosen.of else title(rate).lower(), unit=unit, overall=overall(chosen.now, rate)
            )
            frame.chart(
                figure,
                rows,
                key=f"groups-{rate_of(rate)}",
                alt=f"{title(rate)} by {chosen.attribute.name}. {alt}",
                metrics=(rate_of(rate), chosen.criterion.metric),
                on_select=clicks.leads(f"groups-{rate_of(rate)}", partial(of_group, here, chosen, rate)),
            )
    if here.model.task == "binary":
        with places[len(charts) % len(places)]:
            ratios(here, chosen)


def of_group(here: Here, chosen: Chosen, rate: str, point: clicks.Point) -> clicks.Cases | None:
    """The predictions of a group that was clicked: those which the rate counts against the model, or for a selection rate those selected."""
    count = len(chosen.now.names)
    number = clicks.place(point, "y", count)
    if number is None:
        return None
    level, classes = chosen.now.levels[count - 1 - number], here.model.classes
    if chosen.of is not None:
        found = rate_of(rate) == "true_positive_rate"
        named = clicks.equals("label" if found else "answer", chosen.of)
        q = f"{named} and outcome = wrong" if named and found else named
        return clicks.inside(here, [(chosen.attribute.name, one) for one in level], q)
    wanted = {
        "selection_rate": {"answer": 1},
        "true_positive_rate": {"label": 1, "answer": 0},
        "false_positive_rate": {"label": 0, "answer": 1},
    }.get(rate)
    parts = [clicks.equals(name, classes[code]) for name, code in (wanted or {}).items()]
    q = None if not all(parts) else " and ".join(str(each) for each in parts) or clicks.errors(here)
    return clicks.inside(here, [(chosen.attribute.name, one) for one in level], q)


def ratios(here: Here, chosen: Chosen) -> None:
    """Selection rates over that of the largest group, on the band from four fifths to its inverse."""
    st.subheader("Selection rate against the largest group", anchor=False)
    rows = ratio_frame(chosen.now, chosen.before)
    if rows is None:
        st.caption("No group has positive decisions enough to compare with.")
        return
    largest = str(rows.loc[rows["value"] == 1, "group"].iloc[0])
    outside = rows[rows["enough"] & ((rows["high"] < RATIO_BAND[0]) | (rows["low"] > RATIO_BAND[1]))]
    said = f"Of the groups that are large enough, {len(outside)} of {int(rows['enough'].sum())} lie outside 0.8 to 1.25 of {largest} beyond chance."
    figure = charts_fairness.ratios(rows, against=largest, low=RATIO_BAND[0], high=RATIO_BAND[1])
    on_mark = clicks.leads("ratios", partial(of_group, here, chosen, "selection_rate"))
    frame.chart(figure, rows, key="ratios", alt=said, metrics=("selection_rate", "demographic_parity_ratio"), on_select=on_mark)


def ratio_frame(now: Groups, before: Groups | None) -> "DataFrame | None":
    """`rate_frame` of the selection rate with ratios to the largest group that is large enough, by Koopman's interval; None where there is none."""
    rows = rate_frame(now, before, "selection_rate")
    measured = now.metrics["selection_rate"]
    usable = np.array(rows["enough"]) & (measured.value > 0)
    if not usable.any() or measured.successes is None:
        return None
    largest = int(np.flatnonzero(usable)[measured.n[usable].argmax()])
    found = []
    for place in range(len(rows)):
        each = rate_ratio_interval(measured.successes[place], measured.n[place], measured.successes[largest], measured.n[largest])
        found.append((each.value, each.low, each.high) if place != largest else (1.0, 1.0, 1.0))
    rows[["value", "low", "high"]] = np.array(found, float)
    if before is not None:
        rows["reference"] = rows["reference"] / rows["reference"].iloc[largest]
    return rows


def all_figures(here: Here, chosen: Chosen) -> None:
    """Every rate of every group, with its interval, as a table."""
    shown: list[str] = [
        each
        for each in ("selection_rate", "true_positive_rate", "false_positive_rate", "precision", "accuracy", "mae")
        if each in chosen.now.metrics
    ]
    shown += chosen.rates if chosen.of is not None else ()
    columns = [
        column("group", chosen.attribute.name, strong=True),
        column("n", "Predictions", align="right"),
        column("labelled", "Labelled", align="right"),
    ]
    columns += [column(each, title(each), align="right", help="With its 95 % interval; grey: too small to judge") for each in shown]
    rows = []
    for place, name in enumerate(chosen.now.names):
        cells: dict[str, Cell] = {
            "group": group_link(here, [chosen.attribute], chosen.now.levels[place], name),
            "n": {"t": f"{int(chosen.now.rows[place]):,}"}, "labelled": {"t": f"{int(chosen.now.labelled[place]):,}"},
        }  # fmt: skip
        cells |= {metric: figure_cell(chosen.now, metric, place) for metric in shown}
        rows.append(row(cells))
    table("groups", f"Groups of {chosen.attribute.name}", columns, rows, compact=True)
    frame.download(
        f"fairness-{chosen.attribute.name}.csv",
        lambda: inert_csv(long_frame(chosen.now, chosen.before, shown)),
        "CSV",
        key="groups-csv",
    )


def figure_cell(groups: Groups, metric: str, place: int) -> Cell:
    """Value over interval; unknown where the group is too small."""
    measured, unit = groups.metrics[metric], "share" if groups.metrics[metric].successes is not None else ""
    low, high = measured.low[place], measured.high[place]
    cell: Cell = {
        "t": text.amount(float(measured.value[place]), unit),
        "sub": f"{text.amount(float(low), unit)} to {text.amount(float(high), unit)}" if low == low else None,
    }
    if not enough(groups, metric)[place]:
        cell |= {
            "s": "unknown",
            "title": f"Too small to judge: {measured.n[place]:,.0f} {counted(metric)}, about {rows_needed(groups, metric, place):,} more needed",
        }
    return cell


def long_frame(now: Groups, before: Groups | None, metrics: Sequence[str]) -> "DataFrame":
    """Every group and rate, one a row, for the CSV."""
    import pandas as pd

    return pd.concat([rate_frame(now, before, each).assign(metric=each) for each in metrics], ignore_index=True)


def group_link(here: Here, chosen: Sequence[Attribute], levels: Sequence[str], name: str) -> Cell:
    """A group as a link that makes it the slice of the performance page; bands of numbers are no slices."""
    if any(each.reference.startswith("band.") for each in chosen):
        return {"t": name}
    slice_ = Slice(tuple((each.name, one) for each, one in zip(chosen, levels, strict=True)))
    return links.link(name, "performance", replace(here.scope, slice=slice_))


def pairs(here: Here, chosen: Chosen) -> None:
    """Groups of two attributes at once, the largest first, at most MOST_PAIRS in the table; asked only when a person chooses the second."""
    others = [each for each in available(here)[0] if each != chosen.attribute]
    if not others:
        return
    st.header("Pairs of groups", anchor=False)
    names = [each.name for each in others]
    name = choose(
        "crossed",
        "Crossed with",
        names,
        placeholder="Choose a second attribute",
        width=280,
        missing="The link names the attribute {}, which this model does not have.",
    )
    if name is None:
        st.caption(
            "A model may treat each attribute alike and still fail a pair, as women of one group. Most pairs are small: grey ones cannot be judged."
        )
        return
    two = [chosen.attribute, others[names.index(name)]]
    now, before = both(here, chosen.window, two)
    metric = chosen.rates[0]
    rows = (
        rate_frame(now, before, metric)
        .assign(place=range(len(now.levels)), predictions=now.rows)
        .sort_values("predictions", ascending=False, kind="stable")
    )
    held = rows[rows["enough"]]
    judged = f"{len(held)} of {len(rows)} pairs are large enough for: {title(metric)}."
    if len(held) >= 2:
        ranked = held.sort_values("value", kind="stable").to_dict("records")
        worst, best = ranked[0], ranked[-1]
        spread = now.metrics[metric].at(np.asarray(enough(now, metric))).spread()
        unit = "share" if now.metrics[metric].successes is not None else ""
        judged += (
            f" From {text.amount(worst['value'], unit)} ({worst['group']}) to {text.amount(best['value'], unit)} ({best['group']});"
            f" {sure_words(metric, held.sort_values('place')['group'].tolist(), spread)}"
        )
    st.markdown(text.plain(judged))
    pair_table(here, two, now, metric, rows)
    frame.download(f"fairness-{two[0].name}-{two[1].name}.csv", lambda: inert_csv(rows.drop(columns="place")), "CSV", key="pairs-csv")


def sure_words(metric: str, names: Sequence[str], spread: Spread) -> str:
    """Which two groups differ most surely, and what chance gives them. names: of the groups of the spread, in its order."""
    pair = spread.surest
    if pair is None:
        return ""
    return (
        f"Surest is the difference of {names[pair.lowest]} and {names[pair.highest]}, {difference(metric, pair.difference)}:"
        f" if all were equal, these two would differ by less than {difference(metric, spread.null_95)} 95 times in 100."
    )


def pair_table(here: Here, two: Sequence[Attribute], now: Groups, metric: str, rows: "DataFrame") -> None:
    """The largest pairs with their intervals on one scale."""
    unit = "share" if now.metrics[metric].successes is not None else ""
    ends = rows.loc[rows["enough"], ["low", "high"]].to_numpy(float)
    low, high = (float(np.nanmin(ends)), float(np.nanmax(ends))) if ends.size else (0.0, 1.0)
    whole, drawn = overall(now, metric), []
    for each in rows.head(MOST_PAIRS).to_dict("records"):
        cells: dict[str, Cell] = {
            "group": group_link(here, two, now.levels[each["place"]], each["group"]),
            "value": {"t": text.amount(each["value"], unit)}, "n": {"t": f"{each['n']:,}", "title": f"{each['predictions']:,} predictions"},
        }  # fmt: skip
        if not each["enough"]:
            cells["value"] |= {"s": "unknown", "title": f"Too small to judge: about {each['needs']:,.0f} more needed"}
        else:
            said = f"{text.amount(each['low'], unit)} to {text.amount(each['high'], unit)}"
            cells["interval"] = {
                "title": said,
                "interval": {"v": each["value"], "low": each["low"], "high": each["high"], "min": low, "max": high, "whole": whole},
            }
        drawn.append(row(cells))
    columns = (
        column("group", " × ".join(each.name for each in two), strong=True),
        column("value", title(metric), align="right"),
        column("interval", "95 % interval", width="11rem", help="Dashed: all pairs"),
        column("n", str(rows["what"].iloc[0]).capitalize() if len(rows) else "n", align="right"),
    )
    table("pairs", f"Pairs of {two[0].name} and {two[1].name}", columns, drawn, compact=True)
    if len(rows) > MOST_PAIRS:
        st.caption(f"The largest {MOST_PAIRS} of {len(rows):,} pairs; all of them are in the CSV.")
