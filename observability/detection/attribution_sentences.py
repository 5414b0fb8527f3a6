"""How is it said why performance changed?"""

from typing import Any

from observability.core.analyzer import Context
from observability.core.finding import Against
from observability.detection.slice_sentences import HAD, percent
from observability.stats.decompose import Decomposition
from observability.stats.interval import Interval

FEW = 0.02
"""Share of rows without a counterpart from which it is said."""


def sentence(metric: str, value: Interval, found: Decomposition, carried: list[dict[str, Any]], context: Context, against: Against) -> str:
    """One part of the change, with its interval and what carries it."""
    assert value.value is not None and value.low is not None and value.high is not None
    share = context.model.task != "regression"
    assert found.before.value is not None and found.now.value is not None
    whole = (
        f"the {loss(share)} went from {plain(found.before.value, share)} {HAD[against]} to {plain(found.now.value, share)} "
        f"({signed(found.change, share)})"
    )
    said = f"{signed(value.value, share)} ({signed(value.low, share)} to {signed(value.high, share)})"
    nothing = value.low <= 0 <= value.high
    if metric == "change_from_label_mix":
        return f"Other shares of the labels alone would move the {loss(share)} by {said}; {whole}."
    if metric == "change_from_inputs":
        told = f"Other inputs explain {'nothing for sure' if nothing else 'a part'} of it, {said}"
        most = "" if nothing or not carried else f", most by `{carried[0]['name']}`"
        return f"{whole[0].upper()}{whole[1:]}. {told}{most}{alone(found, against)}."
    told = "no difference for sure" if nothing else f"a {'higher' if value.value > 0 else 'lower'} {loss(share)}"
    most = "" if nothing or not carried else f", most where `{carried[0]['name']}` is {level(carried[0])}"
    return f"At equal inputs there is {told}, {said}{most}: {'the relation as it was' if nothing else 'another relation of inputs and outcomes'}; {whole}."


def level(carrier: dict[str, Any]) -> str:
    """A level, with what it holds."""
    name = "missing" if carrier["level"] == "null" else f"`{carrier['level']}`"
    return f"{name} ({percent(carrier['of_part'])} of it in {percent(carrier['share'])} of the rows)"


def alone(found: Decomposition, against: Against) -> str:
    """That some rows cannot be compared."""
    if found.alone_now < FEW:
        return ""
    return f"; {percent(found.alone_now)} of the window has no counterpart {HAD[against]}, and counts as other inputs"


def apart(found: Decomposition, against: Against) -> str:
    """That both sides share too little to be compared."""
    return (
        f"{percent(found.alone_now)} of the window has inputs that did not occur {HAD[against]}: other inputs and another relation cannot be told "
        f"from each other; that needs a reference with rows like these."
    )


def loss(share: bool) -> str:
    """What is lost."""
    return "share of wrong decisions" if share else "mean absolute error"


def plain(value: float, share: bool) -> str:
    """A mean loss."""
    return percent(value) if share else f"{value:.3g}"


def signed(value: float, share: bool) -> str:
    """A difference of mean losses."""
    return f"{100 * value:+.1f} points" if share else f"{value:+.3g}"


def young(because: str) -> str:
    """While labels are young."""
    return f"{because.removesuffix('.')}; too few of the labels are in to tell."


def too_few(now: int, before: int, wanted: int) -> str:
    """A side lacks labelled rows."""
    if before < wanted:
        return f"Why performance changed needs {wanted:,} labelled rows to hold it against, and there are {before:,}: register this version with held-out predictions."
    return f"Why performance changed cannot be told on {now:,} labelled rows: it needs about {wanted - now:,} more."
