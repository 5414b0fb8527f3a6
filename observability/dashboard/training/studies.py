"""One study (a search over settings): best value against budget, importance of parameters, the winner compared with chance, pruning, the
price of a gain, and whether to continue.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from observability.analyzers.training.runs import RunVerdict
from observability.core import formatting
from observability.core.finding import SEVERITIES, needs_action
from observability.core.numerals import MINUS, with_si_prefix
from observability.dashboard import frame, links
from observability.dashboard.action_form import ActionChoices, action_form
from observability.dashboard.cells import filled_columns, severity_cell
from observability.dashboard.charts import studies as charts_studies
from observability.dashboard.charts.runs import parallel_coordinates
from observability.dashboard.choice_box import address_selectbox
from observability.dashboard.scope import Scope
from observability.dashboard.table import column, columns_on_phone, draw_table, table_row
from observability.dashboard.training.runs import RunUse, energy_and_cost_of_runs, records_of_energy
from observability.dashboard.training.runs_curves import parameter_text, study_frame
from observability.dashboard.training.sample_runs import search_figure
from observability.dashboard.widgets import plain_caption, plain_paragraph, status_line
from observability.detection.run_claims import duration_words, run_figure
from observability.detection.study_checks import claims_about_searches
from observability.detection.study_noise import parameters_text
from observability.detection.study_results import (
    MIN_REPEATS,
    MIN_TRIALS,
    FurtherTrials,
    StudyResults,
    best_by_budget,
    energy_of_runs,
    further_trials,
    parameter_importances,
    pruning_savings,
    results_of_studies,
    seed_band,
    study_gain,
    winner_against_chance,
)
from observability.metrics.energy import RESOURCES
from observability.monitoring.short_claims import with_short_claim
from observability.stats.interval import Interval

HOW = """import observability as obs
for seed, params in trials:
    with obs.track_run(model="loan", study="search-1", params=params, seed=seed) as run:
        run.step(step, validation_loss=…)"""
EXAMPLE = ("Loss of each trial and the best so far", search_figure)
FIGURES = (
    column("name", "Question", strong=True),
    column("value", "Answer", align="right"),
)
CHECKS = (column("state", "Status", width="6.5rem"), column("because", "Check of the search", wide=True))
STUDIES = columns_on_phone(
    "study trials best gain",
    column("study", "Study", strong=True),
    column("trials", "Trials", align="right"),
    column("settings", "Settings", align="right"),
    column("best", "Best", align="right"),
    column("gain", "Gain", align="right", help="Over the repeated setting, else over the first trial"),
    column("pruned", "Pruned", align="right"),
    column("time", "Time", align="right"),
    column("energy", "Energy", align="right", help="Energy of all runs of the study"),
    column("cost", "Cost", align="right", help="Cost of all runs of the study"),
)
STUDIES_ALWAYS = ("study", "trials", "settings", "best", "gain", "pruned", "time")
VERBS = {"Stop": "start no further trial", "Continue": "more trials are worth it; give the reason"}
IMPORTANT = 0.05
MOST_LINES = 6
"""Maximum number of studies that are drawn in one figure."""
BEST = 5
"""Number of settings in the table of the best settings."""


def studies_of(everything: Sequence[RunVerdict]) -> list[StudyResults]:
    """The studies of these runs, newest first."""
    return results_of_studies([each.run for each in everything])


def chosen_study(known: Sequence[StudyResults]) -> StudyResults:
    """The study chosen in the box, which the address holds. If none is chosen, the study with the most settings."""
    names = [each.name for each in known]
    missing = "The link names the study {}, which is not among the studies of this store or model."
    default = max(known, key=lambda each: len(each.settings))
    name = address_selectbox("study", "Study", names, placeholder=default.name, missing=missing, width=420)
    return next((each for each in known if each.name == name), default)


def use_of_studies(known: Sequence[StudyResults]) -> dict[str, dict[str, RunUse]]:
    """Energy and cost of each run: by the name of its study, then by the name of the run.

    All studies are read with one query if it returns every reading of their devices. A query returns only the newest `rows` readings; if it
    returns that many, each study is read with its own query.
    """
    runs = {study.name: [RunVerdict(each.run, ()) for each in study.trials] for study in known}
    everything = [each for own in runs.values() for each in own]
    if len(records_of_energy(everything)[1]) == RESOURCES.rows:
        return {name: energy_and_cost_of_runs(own) for name, own in runs.items()}
    used = energy_and_cost_of_runs(everything)
    return {name: {each.run.name: used[each.run.name] for each in own if each.run.name in used} for name, own in runs.items()}


def study_sections(study: StudyResults, scope: Scope, uses: dict[str, RunUse]) -> None:
    """Draw the conclusions about one study, its charts, and its settings, best first. uses: energy and cost of its runs, by the name of the
    run.
    """
    st.header(formatting.escape_markdown(study.name), anchor=False)
    best = study.best
    value, first = run_figure(float(best.value or 0.0)), run_figure(float(best.run.last_value(study.metric) or 0.0))
    repeats = sum(parameters_text(each.run) == parameters_text(best.run) for each in study.done)
    plain_paragraph(
        f"{formatting.plural(len(study.trials), 'run')}, {formatting.plural(len(study.settings), 'setting')} with {study.metric} "
        f"({study.better} is better); the setting that the search chose has {value}, the mean of its runs."
    )
    points = pd.DataFrame([vars(point) for point in best_by_budget(study)])
    alt = f"Best {study.metric} so far by trial: {value} after {len(points)} runs and {duration_words(float(points['seconds'].iloc[-1]))}."
    chance = chance_words(study)
    frame.chart_with_table(
        charts_studies.best_against_budget(points, study.metric, chance),
        points,
        key="budget",
        alt=f"{alt[:-1]}; {chance}." if chance else alt,
        metrics=("best_metric", *(("seed_noise",) if chance else ())),
    )
    winner_line(study)
    further = further_trials(study)
    further_line(study, further)
    search_actions(study, further)
    plain_caption(
        f"The search chose {best.run.name} by its first value, {first}; the mean of its setting's {formatting.plural(repeats, 'run')} "
        f"is {value}."
    )
    search_checks(study)
    with st.expander("Pruning, energy and cost", icon=":material/payments:"):
        figures = [_figure_row(row) for row in study_figures(study, uses)]
        draw_table("study-figures", f"Figures of {study.name}", FIGURES, figures, compact=True)
    importance_section(study)
    parallel_section(study)
    settings_table(study, scope)


def chance_words(study: StudyResults) -> str:
    """Words for the band in which chance alone moves the metric, with the same limit as in the finding; empty if there are
    too few seeds.
    """
    band = seed_band(study)
    return f"chance, by {len(band.values)} runs of one setting: {run_figure(band.mean)} ± {run_figure(band.reach())}" if band else ""


def _figure_row(figure: dict[str, Any]) -> dict[str, Any]:
    """The table row of a figure, with its basis below its name."""
    return table_row(name={"t": figure["name"], "sub": figure["how"]}, value=figure["value"])


def gain_in_words(gain: Interval) -> str:
    """A gain with its interval. All three numbers have the same number of decimals, so that the width of the interval has two significant
    digits.
    """
    value, low, high = (float(part or 0.0) for part in gain.triple)
    width = high - low or abs(value)
    decimals = max(0, 1 - math.floor(math.log10(width))) if width > 0 else 0
    parts = [f"{round(part, decimals) + 0.0:.{decimals}f}".replace("-", MINUS) for part in (value, low, high)]
    return f"{parts[0]} ({parts[1]} to {parts[2]})"


def search_checks(study: StudyResults) -> None:
    """Draw the checks of the search itself, each with what it found, and the next step if one is needed."""
    claims = [with_short_claim(claim) for claim, _ in claims_about_searches([each.run for each in study.trials])]
    lines = [
        table_row(
            {
                "state": severity_cell(claim.severity),
                "because": {
                    "t": claim.because.replace("`", ""),
                    "sub": str(claim.evidence["next"]) if needs_action(claim.severity) else None,
                },
            }
        )
        for claim in sorted(claims, key=lambda claim: SEVERITIES.index(claim.severity))
    ]
    if not lines:
        return
    bad = sum(needs_action(claim.severity) for claim in claims)
    label = f"{formatting.plural(len(claims), 'check')} of the search: {bad} of them {'need' if bad > 1 else 'needs'} attention"
    with st.expander(
        label if bad else f"{formatting.plural(len(claims), 'check')} of the search, none needs attention", expanded=bool(bad)
    ):
        draw_table("study-checks", f"Checks of the search {study.name}", CHECKS, lines, compact=True)


def winner_line(study: StudyResults) -> None:
    """Draw a sentence that states whether the winner's gain is larger than chance explains."""
    found = winner_against_chance(study)
    if found is None:
        st.markdown(
            status_line(
                "unknown",
                f"No other setting ran with {MIN_REPEATS} seeds or more, so whether the winner beats chance is unknown.",
                "Cannot tell",
            )
        )
        return
    how = (
        f"{found.repeats} repeats of it against {len(found.reference.values)} of the reference setting"
        if found.repeats
        else f"tried once, as the best of {found.among} settings, against {len(found.reference.values)} seeds of the reference setting"
    )
    word = "Better than chance" if found.beyond_chance else "Within chance"
    sentence = f"The winner gains {gain_in_words(found.gain)} in {study.metric}: {how}."
    if not found.beyond_chance and not found.repeats:
        sentence += " Repeat it with other seeds to tell."
    st.markdown(status_line("ok" if found.beyond_chance else "watch", sentence, word))


def search_actions(study: StudyResults, found: FurtherTrials | None) -> None:
    """Draw the earlier decisions about a search, each with the number of trials since, and a form for the next decision. found: the gain
    that further trials can bring.
    """
    proposed = None if found is None else "Stop" if found.stop else "Continue"
    choices = ActionChoices(key="search", thing=f"study {study.name}", verbs=VERBS, button=f"Decide about {study.name}", proposed=proposed)
    action_form(choices, lambda made: trials_since(study, made))


def trials_since(study: StudyResults, made: datetime) -> str:
    """How many trials of a study began after a time (aware UTC), in words."""
    later = sum(each.run.started is not None and each.run.started > made for each in study.trials)
    return f"{formatting.plural(later, 'trial')} since" if later else "no trial since"


def further_line(study: StudyResults, found: FurtherTrials | None) -> None:
    """Draw a sentence about the gain to expect from further trials."""
    if found is None:
        more = MIN_TRIALS - len(study.settings)
        st.markdown(
            status_line(
                "unknown",
                f"Whether more trials would help is unknown: a forecast needs about {formatting.plural(more, 'more setting')}.",
                "Cannot tell",
            )
        )
        return
    sentence = further_words(found, study.metric)
    st.markdown(status_line("ok" if found.stop else "watch", sentence, "Stop now" if found.stop else "Go on"))


def further_words(found: FurtherTrials, metric: str) -> str:
    """A sentence on the expected gain and the time of more trials, and on whether they are worth it."""
    return (
        f"{found.trials} more trials would take {duration_words(found.seconds)} and improve the best {metric} by at most "
        f"{gain_in_words(found.gain)} on average: {found.because}."
    )


def search_use(study: StudyResults, uses: dict[str, RunUse]) -> tuple[float | None, float | None, str]:
    """Energy in Wh and cost of all runs of a search, and the currency of the cost. A figure is None if it is unknown for any run; the cost
    is also None if the currencies differ.
    """
    wh = energy_of_runs(study, {name: use.wh for name, use in uses.items()})
    amounts = [use.amount for use in uses.values()]
    currencies = {use.currency for use in uses.values()}
    money = sum(each for each in amounts if each is not None) if amounts and None not in amounts and len(currencies) == 1 else None
    return wh, money, str(next(iter(currencies))) if money is not None else ""


def study_figures(study: StudyResults, uses: dict[str, RunUse]) -> list[dict[str, Any]]:
    """The figures of a search: savings by pruning, its energy and cost, and the cost per 1 % of improvement."""
    saved, gained = pruning_savings(study), study_gain(study)
    wh, money, currency = search_use(study, uses)
    sources = {use.source for use in uses.values() if use.source}
    basis = "measured" if sources == {"measured"} else "assumed" if "assumed" in sources else "estimated"
    rows: list[dict[str, Any]] = []
    if saved is None:
        rows.append({"name": "Saved by pruning", "value": formatting.DASH, "how": "No trial was pruned"})
    else:
        rows.append(
            {
                "name": "Saved by pruning",
                "value": f"{duration_words(saved.seconds)} ({formatting.format_share(saved.share)})",
                "how": f"{saved.pruned} trials were given up, {saved.steps:,} steps early in all; estimated by their own speed",
            }
        )
    rows.append(
        {
            "name": "Energy of the search",
            "value": formatting.DASH if wh is None else with_si_prefix(wh, "Wh"),
            "how": "Needs readings, or cores, of each run" if wh is None else f"All runs of the study, {basis}",
        }
    )
    if saved is not None and wh is not None:
        avoided = wh * saved.share / (1 - saved.share)
        rows.append(
            {"name": "Energy avoided", "value": with_si_prefix(avoided, "Wh"), "how": f"By pruning, at the power of the search; {basis}"}
        )
    gain = None if gained is None or gained[0] <= 0 else gained[0]
    a_percent = None if gain is None or not study.best.value else gain / abs(float(study.best.value)) * 100
    words = "" if gained is None else f"Gain over {gained[1]}: {run_figure(gained[0])}"
    against = winner_against_chance(study)
    words += ", within chance" if against is not None and not against.beyond_chance else ""
    rows.append(
        {
            "name": "Energy per 1 % improvement",
            "value": formatting.DASH if wh is None or a_percent is None else with_si_prefix(wh / a_percent, "Wh"),
            "how": words or "Needs a gain",
        }
    )
    rows.append(
        {
            "name": "Cost per 1 % improvement",
            "value": formatting.DASH if money is None or a_percent is None else f"{formatting.format_number(money / a_percent)} {currency}",
            "how": f"Cost of all runs: {formatting.format_number(money)} {currency}" if money is not None else "Needs price records",
        }
    )
    return rows


def importance_section(study: StudyResults) -> None:
    """Draw the importance of each parameter. Parameters whose importance can be explained by chance are grey."""
    st.header("Which parameters mattered", anchor=False)
    found = parameter_importances(study)
    if not found:
        st.caption(f"Needs {MIN_TRIALS} settings with a value, and parameters that differ between them; known: {len(study.settings)}.")
        return
    clear = [each.name for each in found if each.p_value <= IMPORTANT]
    said = f"Distinguishable from chance: {', '.join(clear)}." if clear else "No parameter is distinguishable from chance."
    plain_paragraph(said)
    rows = pd.DataFrame([vars(each) for each in found])
    frame.chart_with_table(charts_studies.importance_bars(rows, IMPORTANT), rows, key="importance", alt=said)
    plain_caption(f"Divergence of the best settings from all {len(study.settings)}, by parameter (PED-ANOVA); grey: within chance.")


def parallel_section(study: StudyResults) -> None:
    """Draw the runs as lines over their parameters, in a closed expander."""
    rows = study_frame([each.run for each in study.trials])
    if rows is None:
        return
    metric = str(rows.columns[-1])
    alt = f"{len(rows)} runs of {study.name} as lines over their parameters and {metric}."
    with st.expander("Trials by their parameters", icon=":material/line_axis:"):
        frame.chart_with_table(parallel_coordinates(rows, metric=metric), rows, key="study", alt=alt, metrics=("seed_noise",))


def settings_table(study: StudyResults, scope: Scope) -> None:
    """Draw the five best settings with the parameters that differ between settings."""
    st.header("Best settings", anchor=False)
    st.caption("By the mean of the runs of each setting.")
    ranked = sorted(study.settings, key=study.cost)[:BEST]
    values = {name: {parameter_text(each.run.params.get(name)) for each in study.settings} for name in study.best.run.params}
    names = [name for name, held in values.items() if len(held) > 1][:8]
    columns = [column("run", "Run", strong=True, width="13rem"), column("value", study.metric, align="right")]
    columns += [column(f"p{place}", name, align="right", phone=False) for place, name in enumerate(names)]
    rows = []
    for each in ranked:
        cells: dict[str, Any] = {"run": links.link_cell(each.run.name, "runs", scope, run=each.run.name)}
        cells["value"] = formatting.format_number(float(each.value or 0.0), 4)
        cells |= {f"p{place}": parameter_text(each.run.params.get(name)) for place, name in enumerate(names)}
        rows.append(table_row(cells))
    draw_table("settings", f"Best settings of {study.name}", columns, rows, compact=True)


def studies_of_metric(chosen: StudyResults, known: Sequence[StudyResults]) -> list[StudyResults]:
    """The studies with the same model, metric and better direction as the chosen study. The chosen study comes first, then the studies with
    most settings.
    """

    def measured(study: StudyResults) -> tuple[str | None, str, str]:
        return study.best.run.model, study.metric, study.better

    alike = [each for each in known if measured(each) == measured(chosen) and each.name != chosen.name]
    return [chosen, *sorted(alike, key=lambda each: (-len(each.settings), each.name))]


def studies_side_by_side(chosen: StudyResults, known: Sequence[StudyResults]) -> None:
    """Draw the best value so far of all studies with the model and metric of the chosen study. Draws nothing if there is no other such
    study.

    At most `MOST_LINES` studies are drawn; the table of the figure has all studies.
    """
    alike = studies_of_metric(chosen, known)
    if len(alike) < 2:
        return
    parts = [pd.DataFrame([vars(point) for point in best_by_budget(each)]).assign(study=each.name) for each in alike]
    points = pd.concat([part[["study", "trial", "seconds", "best"]] for part in parts], ignore_index=True)
    ends = {each.name: part["best"].dropna().iloc[-1] for each, part in zip(alike, parts, strict=True) if part["best"].notna().any()}
    leader = (max if chosen.better == "high" else min)(ends, key=lambda name: ends[name])
    shown = points[points["study"].isin([each.name for each in alike[:MOST_LINES]])]
    alt = (
        f"Best {chosen.metric} so far by trial of {len(alike)} studies ({chosen.better} is better); "
        f"{leader} comes furthest with {run_figure(float(ends[leader]))}."
    )
    frame.chart_with_table(charts_studies.best_of_studies(shown, chosen.metric), points, key="side-by-side", alt=alt)
    if len(alike) > MOST_LINES:
        plain_caption(f"{MOST_LINES} of {len(alike)} studies are drawn, those with most settings; the table has all.")


def all_studies_table(
    known: Sequence[StudyResults], scope: Scope, uses: dict[str, dict[str, RunUse]], chosen: StudyResults | None = None
) -> None:
    """Draw all studies in a closed expander: a table, and the figure of the chosen study's metric. uses: the result of `use_of_studies`."""
    rows = []
    for study in known:
        gained = study_gain(study)
        wh, money, currency = search_use(study, uses[study.name])
        rows.append(
            table_row(
                study=links.link_cell(study.name, "studies", scope, study=study.name),
                trials=f"{len(study.trials)}",
                settings=f"{len(study.settings)}",
                best={"t": formatting.format_number(float(study.best.value or 0.0), 4), "sub": study.metric},
                gain=None if gained is None else run_figure(gained[0]),
                pruned=f"{sum(each.run.pruned for each in study.trials)}",
                time=duration_words(sum(each.run.seconds for each in study.trials)),
                energy=None if wh is None else with_si_prefix(wh, "Wh"),
                cost=None if money is None else f"{formatting.format_number(money)} {currency}",
            )
        )
    with st.expander(f"All {len(known)} studies" if len(known) > 1 else "All studies", icon=":material/list:"):
        draw_table("studies", "Studies", filled_columns(STUDIES, rows, STUDIES_ALWAYS), rows, compact=True)
        if chosen is not None:
            studies_side_by_side(chosen, known)
