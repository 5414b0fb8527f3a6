"""Each of these analyzers breaks one law on purpose, to show that the tests of the laws catch it. None of them is part of the product."""

import itertools
from collections.abc import Callable
from dataclasses import replace

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Against, Finding
from observability.core.questions import Aggregate, Bucket

CALLS = itertools.count()
COUNT = Aggregate("predictions", keys=(Bucket("day"),))


def claim(context: Context, value: float, *, severity: str = "ok", against: Against = "level", subject: str = "model") -> Finding:
    """A finding that breaks no law by itself."""
    return Finding(
        analyzer="broken/one", model=context.model.name, version=context.version.name, subject=subject, metric="volume", unit="predictions",
        value=value, low=value, high=value, n=int(value), severity=severity, because=f"There are {value:g} predictions.",
        start=context.window.start, end=context.window.end, against=against,
    )  # fmt: skip


def columns(context: Context) -> tuple[str, ...]:
    """The features that an analyzer can ask for."""
    return tuple(each.reference for each in context.model.features())


def counts(context: Context) -> dict[str, Ask]:
    """A request for the predictions of the window by day."""
    return {"current": Ask(COUNT)}


def histograms(context: Context) -> dict[str, Ask]:
    """A request for the histograms of the features."""
    return {"current": Ask(Aggregate("predictions", histogram=columns(context)) if columns(context) else COUNT)}


def rows(frames: Frames) -> float:
    """The number of rows in the window."""
    return float(frames["current"]["n"].sum())


def broken(analyze: Callable[[Frames, Context], list[Finding]], needs: Callable[[Context], dict[str, Ask]] = counts) -> Analyzer:
    """An analyzer with these two functions, which breaks one law."""
    return Analyzer("broken/one", "Which law is broken?", needs, analyze)


def calls_nothing_fine(frames: Frames, context: Context) -> list[Finding]:
    """Breaks law 1: says that an empty window is OK."""
    return [claim(context, rows(frames))]


def acts_on_itself(frames: Frames, context: Context) -> list[Finding]:
    """Breaks law 2: reports a fall whenever there is a reference."""
    severity = "act" if rows(frames) else "unknown"
    return [claim(context, rows(frames), severity=severity, against="past")]


def takes_the_first_row(frames: Frames, context: Context) -> list[Finding]:
    """Breaks law 3: its finding depends on which row comes first."""
    n = frames["current"]["n"]
    return [claim(context, float(n.iloc[0]) if len(n) else 0.0, severity="ok" if len(n) else "unknown")]


def counts_rows_of_the_answer(frames: Frames, context: Context) -> list[Finding]:
    """Breaks law 4: takes the length of the frame for the number of groups, although a group may occur twice in the parts of an answer."""
    length = len(frames["current"])
    return [claim(context, float(length), severity="ok" if length else "unknown")]


def writes_into_its_frame(frames: Frames, context: Context) -> list[Finding]:
    """Breaks law 5: adds a column to the frame that it receives."""
    frames["current"]["share"] = frames["current"]["n"] / max(rows(frames), 1.0)
    return [claim(context, rows(frames), severity="ok" if rows(frames) else "unknown")]


def turns_its_interval_around(frames: Frames, context: Context) -> list[Finding]:
    """Breaks law 6: the lower end of the interval is above the value."""
    return [replace(claim(context, rows(frames), severity="ok" if rows(frames) else "unknown"), low=rows(frames) + 1)]


def asks_for_a_column_that_is_not_there(context: Context) -> dict[str, Ask]:
    """Breaks law 7: asks for a feature that no catalog declares."""
    return {"current": Ask(Aggregate("predictions", histogram=("feature.nobody has it",)))}


def counts_its_calls(frames: Frames, context: Context) -> list[Finding]:
    """Breaks law 8: counts its own calls, so no two engines give the same finding."""
    return [claim(context, float(next(CALLS)), severity="ok" if rows(frames) else "unknown")]


def needs_every_column(frames: Frames, context: Context) -> list[Finding]:
    """Breaks law 9: if one column is missing, it reports nothing about the other columns either."""
    if "column" not in frames["current"]:
        return [claim(context, rows(frames), severity="ok" if rows(frames) else "unknown")]
    of = {name: float(part["n"].sum()) for name, part in frames["current"].groupby("column")}
    return [claim(context, of[name], severity="ok", subject=name.partition(".")[2]) for name in columns(context) if rows(frames)]


def counts_what_the_catalog_knows_now(frames: Frames, context: Context) -> list[Finding]:
    """Breaks law 10: counts columns and versions that were added to the catalog after the window."""
    known = float(len(context.model.versions) + len(context.model.columns))
    return [claim(context, known, severity="ok" if rows(frames) else "unknown")]


def silent(frames: Frames, context: Context) -> list[Finding]:
    """Returns no finding."""
    return []


BROKEN: dict[int, Analyzer] = {
    1: broken(calls_nothing_fine),
    2: broken(acts_on_itself),
    3: broken(takes_the_first_row),
    4: broken(counts_rows_of_the_answer),
    5: broken(writes_into_its_frame),
    6: broken(turns_its_interval_around),
    7: broken(silent, asks_for_a_column_that_is_not_there),
    8: broken(counts_its_calls),
    9: broken(needs_every_column, histograms),
    10: broken(counts_what_the_catalog_knows_now),
}
"""The broken analyzers, by the number of the law that they break."""
