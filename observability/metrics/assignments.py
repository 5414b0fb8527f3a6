"""Assignments of items to people: workload, reasons, policies and their outcomes."""

from typing import TYPE_CHECKING

from observability.metrics.annotations import PAIR, item_clustered_rate
from observability.stats.strata import gini

if TYPE_CHECKING:
    from pandas import DataFrame

ASSIGNMENT_FIELDS = ("project", "item", "annotator", "at", "reason", "score", "policy")
NOT_STATED = "not stated"


def newest_assignments(assigned: "DataFrame") -> "DataFrame":
    """Newest assignment of each item to each person.

    Parameters
    ----------
    assigned : DataFrame
        Records of kind `assignment`.

    Returns
    -------
    DataFrame
    """
    rows = assigned.sort_values([*PAIR, "at", "reason", "policy", "score"], kind="stable")
    return rows.drop_duplicates(PAIR, keep="last").reset_index(drop=True)


def workload(assigned: "DataFrame", answers: "DataFrame") -> "DataFrame":
    """A row for each person with assignments: annotator, given, share, labelled (number of the given items that the person has labelled).

    Parameters
    ----------
    assigned : DataFrame
        Records of kind `assignment`.
    answers : DataFrame
        Answers of `first_answers`.

    Returns
    -------
    DataFrame
    """
    import pandas as pd

    rows = _assigned_answers(assigned, answers)
    counted = rows.groupby(rows["annotator"].astype(str), sort=True).agg(given=("item", "size"), labelled=("done", "sum"))
    found = counted.reset_index()
    found["share"] = found["given"] / max(len(rows), 1)
    return pd.DataFrame(found[["annotator", "given", "share", "labelled"]])


def workload_gini(work: "DataFrame") -> float:
    """Gini coefficient of the number of assignments per person; NaN with fewer than two people.

    Parameters
    ----------
    work : DataFrame
        Table of `workload`.

    Returns
    -------
    float
    """
    return gini(work["given"].to_numpy(float)) if len(work) > 1 else float("nan")


def _assigned_answers(assigned: "DataFrame", answers: "DataFrame") -> "DataFrame":
    """The newest assignments, each with the answer that it led to: done, label, gold, suggestion, and the consensus of the other people on
    its item.
    """
    import pandas as pd

    rows = newest_assignments(assigned).merge(
        answers[[*PAIR, "label", "gold", "suggestion", "known", "shown", "right", "taken"]], on=PAIR, how="left"
    )
    rows["done"] = rows["label"].notna()
    for name in ("known", "shown", "right", "taken"):
        rows[name] = rows[name].eq(True)
    rows["others"] = pd.Series(_consensus_of_others(rows, answers), index=rows.index, dtype=object)
    return rows


def _consensus_of_others(rows: "DataFrame", answers: "DataFrame") -> list[str | None]:
    """For each row, the most frequent label that other people gave to its item; None if there is no other label, or a tie."""
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for project, item, label in zip(answers["project"], answers["item"], answers["label"], strict=True):
        times = counts.setdefault((project, item), {})
        times[label] = times.get(label, 0) + 1
    found: list[str | None] = []
    for project, item, label in zip(rows["project"], rows["item"], rows["label"], strict=True):
        times = dict(counts.get((project, item), {}))
        if label in times:
            times[label] -= 1
        most = max(times.values(), default=0)
        best = [name for name, n in times.items() if n == most]
        found.append(best[0] if most > 0 and len(best) == 1 else None)
    return found


def policy_outcomes(assigned: "DataFrame", answers: "DataFrame") -> "DataFrame":
    """A row for each policy and each baseline that its answers are compared with (gold, suggestion, others): policy, given, labelled,
    against, n, differs, value, low, high, score (the mean that the policy gave).

    Parameters
    ----------
    assigned : DataFrame
        Records of kind `assignment`.
    answers : DataFrame
        Answers of `first_answers`.

    Returns
    -------
    DataFrame
    """
    import pandas as pd

    rows = _assigned_answers(assigned, answers)
    rows["policy"] = rows["policy"].where(rows["policy"].notna(), NOT_STATED)
    found = []
    for name, part in rows.groupby("policy", sort=True):
        done = part[part["done"]]
        sides = {
            "gold": (done[done["known"]], "right"),
            "suggestion": (done[done["shown"]], "taken"),
            "others": (done[done["others"].notna()].assign(same=lambda each: each["label"] == each["others"]), "same"),
        }
        for against, (held, same) in sides.items():
            apart = held.assign(differs=~held[same].astype(bool))
            rate = item_clustered_rate(apart, "differs")
            differs, score = int(apart["differs"].sum()), part["score"].mean()
            found.append([name, len(part), len(done), against, len(held), differs, *rate.triple, score])
    columns = ["policy", "given", "labelled", "against", "n", "differs", "value", "low", "high", "score"]
    return pd.DataFrame(found, columns=columns).astype(dict.fromkeys(("value", "low", "high", "score"), float))


def assignment_reasons(assigned: "DataFrame") -> "DataFrame":
    """How often each reason occurs, most frequent first: reason, policy, n, share.

    Parameters
    ----------
    assigned : DataFrame
        Records of kind `assignment`.

    Returns
    -------
    DataFrame
    """
    rows = newest_assignments(assigned)
    rows = rows.assign(**{name: rows[name].where(rows[name].notna(), NOT_STATED) for name in ("reason", "policy")})
    found = rows.groupby(["reason", "policy"], sort=True).size().reset_index(name="n")
    found["share"] = found["n"] / max(len(rows), 1)
    return found.sort_values(["n", "reason", "policy"], ascending=[False, True, True], ignore_index=True)
