"""For each kind of audit on the page of audits, its figures and the cases behind them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
import streamlit as st

from observability.analyzers.trust.audits import audit_value_words
from observability.core import formatting
from observability.core.finding import Finding
from observability.core.numerals import format_figure, measured_value_text, percent
from observability.dashboard import frame, links
from observability.dashboard.charts import audits as charts_audits
from observability.dashboard.frame import ModelPage
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, draw_table, number_columns, table_row
from observability.dashboard.trust import form_audits
from observability.dashboard.trust.leakage_figures import leakage_details, leakage_figure
from observability.dashboard.trust.shift_figures import shift_details, shift_figure
from observability.dashboard.widgets import csv_button, plain_caption, plain_paragraph, unavailable_note
from observability.detection.audit_groups import most_attacked_group
from observability.detection.audit_history import StoredAudit

FLIPS = (
    column("case", "Prediction", strong=True),
    column("changes", "Changes", wide=True, help="Opens the case with the changed values: the model answers them under What if?"),
)
EXPOSED = (column("case", "Training record", strong=True), *number_columns(statistic="Log likelihood ratio"))
CANARIES = (
    column("name", "Canary", strong=True),
    column("rank", "Rank", align="right", help="Rank among the candidates by the model's confidence; 1: higher than for every candidate"),
    column("bits", "Exposure (bits)", align="right", help="log2 of the number of candidates less log2 of the rank"),
)
UNSTABLE = (column("case", "Prediction", strong=True), *number_columns(stability="Rank correlation"))
COST_HELP = "Sum of the changes, each in standard deviations of its feature; another level of a category costs 1"
SHOWN = 8


def audit_figure(here: ModelPage, audit: StoredAudit, found: Sequence[Finding]) -> None:
    """Draw the main figure of one audit. found: findings about the forms of the model (such as the same model in another precision or
    runtime, or a smaller one).
    """
    if audit.kind == form_audits.KIND:
        with as_far_as_recorded():
            form_audits.form_audit_figure(here, audit, found)
        return
    if audit.value is None:
        unavailable_note(audit.headline.get("why") or "This audit gave no value.")
        return
    figures = {"robustness": _budget, "membership": _roc, "explanations": _deletion, "fairness": shift_figure, "leakage": leakage_figure}
    with as_far_as_recorded():
        figures[audit.kind](here, audit)


@contextmanager
def as_far_as_recorded() -> Iterator[None]:
    """Draw one part of an audit's results. If the results lack a field or have another format, a note replaces the rest of this part, and
    the page continues.
    """
    try:
        yield
    except KeyError as error:
        unavailable_note(f"The results of this audit have no `{error.args[0]}`, so this part cannot be drawn.")
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        unavailable_note("The results of this audit have another form than this page reads, so this part cannot be drawn.")


def audit_details(here: ModelPage, audit: StoredAudit) -> None:
    """Draw the other figures and the cases of one audit."""
    if audit.value is not None:
        kinds = {"robustness": _robustness, "membership": _membership, "explanations": _explanations, "fairness": shift_details}
        if draw := kinds.get(audit.kind):
            with as_far_as_recorded():
                draw(here, audit)
    if audit.kind == "leakage":
        with as_far_as_recorded():
            leakage_details(here, audit)
    if canaries := audit.results.get("canaries"):
        with as_far_as_recorded():
            _canaries(canaries)
    elif audit.kind == "membership":
        plain_caption("Exposure of canaries is unknown: none was drawn before this version was registered (command `exports canaries`).")


def curve_points(curve: Sequence[Mapping[str, Any]], at: str, name: str) -> list[dict[str, Any]]:
    """The points of a curve as rows of a figure."""
    return [{"curve": name, "at": point[at], **{part: point[part] for part in ("value", "low", "high", "n")}} for point in curve]


def _budget(here: ModelPage, audit: StoredAudit) -> None:
    """Draw accuracy against the budget (the cost of the change), of all rows or by group."""
    results = audit.results
    groups = {f"{name}: {level}": curve for name, levels in results.get("groups", {}).items() for level, curve in levels.items()}
    names = list(results.get("groups", {}))
    by = st.segmented_control("Curves", ["All rows", *names], default="All rows", key="audit-by") if names else "All rows"
    if by in (None, "All rows"):
        single = [{**point["single"], "epsilon": point["epsilon"]} for point in results["epsilon"]]
        points = curve_points(results["epsilon"], "epsilon", "any features") + curve_points(single, "epsilon", "one feature")
    else:
        points = [point for name, curve in groups.items() if name.startswith(f"{by}: ") for point in curve_points(curve, "epsilon", name)]
    measure = "predictions that hold" if here.model.task == "regression" else "accuracy"
    figure = charts_audits.budget_curves(
        pd.DataFrame(points), f"cost of the change{_cost_unit(results)}", measure, groups=by not in (None, "All rows")
    )
    frame.chart_with_table(figure, pd.DataFrame(points), key="budget", alt=f"{audit_value_words(audit)}.", metrics=("robust_accuracy",))
    exact = (
        "For changes of one feature the curve is exact: every interval between the forest's thresholds is tried."
        if results.get("exact_single")
        else "Changes of one feature are tried on a grid of the reference's values."
    )
    if said := attacked_group_words(results):
        plain_paragraph(said)
    plain_caption(
        f"{exact} For changes of several features it is an upper bound, because a stronger search may find cheaper changes. "
        f"{attack_terms_words(results)}"
    )


def attack_terms_words(results: Mapping[str, Any]) -> str:
    """The rules of an attack in words: features that it may not change, features that it may change in one direction only, and the costs of
    changes. Empty if there are no rules.
    """
    parts = [f"Locked: {', '.join(results['locked'])}."] if results.get("locked") else []
    ways = {"up": "rises", "down": "falls"}
    only = [f"{name} only {ways.get(way, way)}" for name, way in sorted((results.get("directions") or {}).items())]
    costs = [f"{name} {cost:g}" for name, cost in sorted((results.get("costs") or {}).items())]
    parts += [f"One direction: {', '.join(only)}."] if only else []
    parts += [f"Cost of a change: {', '.join(costs)}; 1 for any other feature."] if costs else []
    return " ".join(parts)


def attacked_group_words(results: Mapping[str, Any]) -> str:
    """A sentence about the group that is most clearly easier to attack than other groups: within the budget of the headline, or because its
    training records are found more often.

    If no group is easier to attack, the sentence says so. Empty if no attribute has two groups to compare.
    """
    at, curves = results["headline"].get("at"), "epsilon" in results
    shares: dict[str, dict[str, dict[str, Any]]] = {}
    for attribute, levels in results.get("groups", {}).items():
        for level, own in levels.items():
            cell = next((point for point in own if point["epsilon"] == at), {}) if curves else own
            if cell.get("value") is not None:
                hit = 1 - cell["value"] if curves else cell["value"]
                shares.setdefault(attribute, {})[level] = {"value": hit, "n": cell["n"]}
    if not any(len(levels) > 1 for levels in shares.values()):
        return ""
    group = most_attacked_group(shares)
    if group is None:
        return f"No group is significantly {'easier to attack' if curves else 'more exposed'} than the others."
    rate, rest = formatting.format_share(group.rate), formatting.format_share(group.rest)
    found = f"{rate} of {group.n:,} training records are found at {percent(at)} false positives"
    if curves:
        found = f"at cost {at:g}, {rate} of {group.n:,} rows are wrong or changed"
    return f"{group.attribute} {group.level} differs most clearly: {found}, {rest} in the other groups of {group.attribute}."


def _cost_unit(results: Mapping[str, Any]) -> str:
    """The unit in which the cost of a change is measured; empty if the audit defined its own costs of features."""
    return "" if results.get("costs") else " (standard deviations)"


def _robustness(here: ModelPage, audit: StoredAudit) -> None:
    """Draw the cheapest changes that flip a prediction, the accuracy with noise and with absent features, and the effect of changed
    texts.
    """
    results = audit.results
    st.header("Cheapest changes", anchor=False)
    flips = results.get("flips", [])
    rows = [
        table_row(case=_case_cell(flip["id"], here), cost=f"{flip['cost']:.3g}", changes=_flip_cell(flip, here)) for flip in flips[:SHOWN]
    ]
    cost = column("cost", f"Cost{'' if results.get('costs') else ' (SD)'}", align="right", help=COST_HELP, phone=False)
    draw_table("flips", "Cheapest changes", (FLIPS[0], cost, FLIPS[1]), rows, compact=True)
    flat = [{"id": flip["id"], "cost": flip["cost"], "changes": _changes_words(flip["changes"])} for flip in flips]
    csv_button("cheapest-changes", pd.DataFrame(flat))
    st.header("Noise and absent features", anchor=False)
    noise = pd.DataFrame(curve_points(results["noise"], "noise", "noise"))
    words = "mean absolute error" if results.get("measure") == "mae" else "accuracy"
    left, right = st.columns(2)
    with left:
        figure = charts_audits.budget_curves(noise, "noise, standard deviations", words)
        frame.chart_with_table(figure, noise, key="noise", alt=f"{words.capitalize()} against noise on every feature.")
    with right:
        absent = pd.DataFrame(curve_points(results["without"], "features", "without"))
        absent["feature"] = [point.get("name") for point in results["without"]]
        figure = charts_audits.budget_curves(absent, "absent features, most needed first", words)
        frame.chart_with_table(figure, absent, key="absent", alt=f"{words.capitalize()} without the most needed features.")
    if "texts" in results:
        _changed_texts(results["texts"])


def _changed_texts(found: Mapping[str, Any]) -> None:
    """Draw the share of texts whose answer changes, by kind of change."""
    st.header("Changed texts", anchor=False)
    if "why" in found:
        unavailable_note(found["why"])
        return
    rows = pd.DataFrame([{"name": each["change"], **each["flipped"]} for each in found["changes"]])
    figure = charts_audits.audited_group_dots(rows, "texts whose prediction changes")
    frame.chart_with_table(figure, rows, key="texts", alt="Share of texts whose answer changes, by the change.")
    plain_caption(f"The text reaches the model by {len(found['through'])} features; all others keep their logged values.")


def _roc(_here: ModelPage, audit: StoredAudit) -> None:
    """Draw the ROC curve of the attack."""
    results = audit.results
    named = {results["attack"]: results["best"], "loss threshold": results["loss_threshold"]}
    columns = ["attack", "false_positive_rate", "true_positive_rate"]
    roc = pd.DataFrame([(name, *point) for name, each in named.items() for point in each["roc"]], columns=columns)
    frame.chart_with_table(
        charts_audits.attack_roc(roc), roc, key="roc", alt=f"{audit_value_words(audit)}.", metrics=("membership_exposure",)
    )
    if audit.headline.get("why"):
        plain_caption(str(audit.headline["why"]))
    auc, plain = results["best"]["auc"], results["without_model"]["auc"]
    rare = results["best"]["true_positive_rates"][-1]
    plain_caption(
        f"AUC {auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f}); without the model {plain['value']:.3f}. "
        f"At 0.1 % false positives: {formatting.format_share(rare['value'])} "
        f"({formatting.format_interval(rare['low'], rare['high'], 'share')}). "
        f"{results['members']['n']:,} {results['members']['are']} against "
        f"{results['others']['n']:,} {results['others']['are']}."
    )
    if gap := results.get("gap"):
        plain_caption(gap_words(gap))


def gap_words(gap: Mapping[str, Mapping[str, Any]]) -> str:
    """A sentence that states how much lower the loss is on training records, and what an attacker gains who only compares losses."""
    loss, low, high, inside, outside = (
        format_figure(gap[part][name], 3)
        for part, name in (
            ("difference", "value"),
            ("difference", "low"),
            ("difference", "high"),
            ("members", "value"),
            ("others", "value"),
        )
    )
    said = f"Loss gap {loss} ({low} to {high}): mean loss {inside} on training records, {outside} on the others."
    if advantage := gap.get("advantage"):
        points, least, most = (format_figure(100 * advantage[name], 2) for name in ("value", "low", "high"))
        sure = "" if advantage["low"] > 0 else ", not significant"
        said += (
            f" The true label gets a probability above 50 % more often on training records, by {points} points ({least} to {most}{sure}). "
            "That is the advantage of an attacker who calls such records training records."
        )
    return said


def _canaries(found: Mapping[str, Any]) -> None:
    """Draw the exposure of canaries, largest first."""
    st.header("Canaries", anchor=False)
    chance = "p < 0.001" if found["p_value"] < 0.001 else f"p = {found['p_value']:.2g}"
    plain_paragraph(
        f"Mean exposure {found['mean_bits']:.2f} bits, 1.44 expected without memorisation ({chance}); at most {found['most_bits']:.1f} "
        f"among {found['candidates']:,} candidates."
    )
    rows = [table_row(name=each["name"], rank=f"{each['rank']:,}", bits=f"{each['bits']:.2f}") for each in found["by_canary"][:SHOWN]]
    draw_table("canaries", "Canaries by exposure", CANARIES, rows, compact=True)
    csv_button("canaries", pd.DataFrame(found["by_canary"]))


def _membership(here: ModelPage, audit: StoredAudit) -> None:
    """Draw the exposure by group, and the most exposed training records."""
    results = audit.results
    if results.get("groups"):
        st.header("Exposure by group", anchor=False)
        if said := attacked_group_words(results):
            plain_paragraph(said)
        rows = pd.DataFrame(
            [{"name": f"{name}: {level}", **cell} for name, each in results["groups"].items() for level, cell in each.items()]
        )
        rows = rows.sort_values("value", ascending=False, ignore_index=True).head(20)
        figure = charts_audits.audited_group_dots(rows, "training records found at 1 % false positives", 0.01)
        frame.chart_with_table(figure, rows, key="exposure", alt="Exposure of training records by group, with intervals.")
    st.header("Most exposed records", anchor=False)
    exposed = results.get("exposed", [])
    rows_ = [table_row(case=_case_cell(each["id"], here), statistic=f"{each['statistic']:.2f}") for each in exposed[:SHOWN]]
    draw_table("exposed", "Most exposed records", EXPOSED, rows_, compact=True)
    csv_button("most-exposed", pd.DataFrame(exposed))


def _deletion(_here: ModelPage, audit: StoredAudit) -> None:
    """Draw the deletion curves of an audit, which show how faithful its attributions are to the model."""
    results = audit.results
    deletion = pd.DataFrame(results["deletion"])
    ahead = results["faithfulness"]
    alt = f"Deleting by attribution moves the score further than at random in {formatting.format_share(ahead['value'])} of rows."
    frame.chart_with_table(charts_audits.deletion_curves(deletion), deletion, key="deletion", alt=alt, metrics=("explanation_stability",))
    plain_caption(f"{alt} Attributions are {results['method']}.")


def _explanations(here: ModelPage, audit: StoredAudit) -> None:
    """Draw the agreement with another method of explanation, surrogate models, and the least stable explanations."""
    results = audit.results
    if agreement := results.get("agreement"):
        st.header("Another method", anchor=False)
        ranks, first = agreement["rank_correlation"], agreement["same_first"]
        plain_paragraph(
            f"With {agreement['with']}, the same feature comes first in {formatting.format_share(first['value'])} of rows "
            f"({formatting.format_interval(first['low'], first['high'], 'share')}); rank correlation of all features {ranks['value']:.2f} "
            f"({ranks['low']:.2f} to {ranks['high']:.2f})."
        )
    st.header("Simple surrogates", anchor=False)
    surrogates = pd.DataFrame(results["surrogates"])
    best = surrogates.iloc[-1]
    surrogates = surrogates if "low" in surrogates else surrogates.assign(low=surrogates["r2"], high=surrogates["r2"], n=0)
    explained = formatting.format_share(max(float(best["r2"]), 0.0))
    if surrogates["n"].iloc[-1]:
        low, high = (float(surrogates[end].iloc[-1]) for end in ("low", "high"))
        explained += f" ({formatting.format_interval(low, high, 'share')})"
    words = f"A decision tree of depth {best['depth']:.0f} explains {explained} of the variance of the scores."
    curve = surrogates.rename(columns={"depth": "at", "r2": "value"}).assign(curve="decision tree")
    figure = charts_audits.budget_curves(curve, "depth of the tree", "R² on held-out rows")
    frame.chart_with_table(figure, surrogates, key="surrogates", alt=words)
    plain_caption(words)
    st.header("Least stable explanations", anchor=False)
    least = results.get("least_stable", [])
    rows = [table_row(case=_case_cell(each["id"], here), stability=f"{each['stability']:.2f}") for each in least[:SHOWN]]
    draw_table("unstable", "Least stable explanations", UNSTABLE, rows, compact=True)
    csv_button("least-stable", pd.DataFrame(least))


def _case_cell(prediction: str, here: ModelPage) -> Cell:
    """The link to a case."""
    return links.case_link(prediction, prediction, here.model.name, Scope())


def _flip_cell(flip: Mapping[str, Any], here: ModelPage) -> Cell:
    """A cell with the changed values. If the model can answer them, the cell links to the case with these values as its what-if input."""
    after = {name: values[-1] for name, values in flip["changes"].items()}
    scope = Scope().about(here.model.name)
    return links.link_cell(_changes_words(flip["changes"]), "case", scope, id=flip["id"], what_if=json.dumps(after))


def _changes_words(changes: Mapping[str, Sequence[Any]]) -> str:
    """Changed features in words, such as `SCHL 19 → 21`."""
    return ", ".join(f"{name} {_written(before)} → {_written(after)}" for name, (before, after) in changes.items())


def _written(value: Any) -> str:
    """A value as text; `missing` if there is no value."""
    return "missing" if value is None else measured_value_text(value)
