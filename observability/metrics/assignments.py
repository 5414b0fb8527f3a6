"""Who was given how much, why, by which policy, and what came of it?"""

from typing import TYPE_CHECKING

from observability.metrics.annotations import PAIR, rate_of
from observability.stats.strata import gini

if TYPE_CHECKING:
    from pandas import DataFrame

ASSIGNMENT_FIELDS = ("project", "item", "annotator", "at", "reason", "score", "policy")
NOT_SAID = "not said"


def newest(assigned: "DataFrame") -> "DataFrame":
    """The newest assignment of each item to each person."""
    rows = assigned.sort_values([*PAIR, "at", "reason", "policy", "score"], kind="stable")
    return rows.drop_duplicates(PAIR, keep="last").reset_index(drop=True)


def workload(assigned: "DataFrame", answers: "DataFrame") -> "DataFrame":
    """A row for each person who was given something: annotator, given, share, labelled (by them, of what they were given)."""
    import pandas as pd

    rows = joined(assigned, answers)
    counted = rows.groupby(rows["annotator"].astype(str), sort=True).agg(given=("item", "size"), labelled=("done", "sum"))
    found = counted.reset_index()
    found["share"] = found["given"] / max(len(rows), 1)
    return pd.DataFrame(found[["annotator", "given", "share", "labelled"]])


def unevenness(work: "DataFrame") -> float:
    """The Gini coefficient of what people were given; NaN without two people."""
    return gini(work["given"].to_numpy(float)) if len(work) > 1 else float("nan")


def joined(assigned: "DataFrame", answers: "DataFrame") -> "DataFrame":
    """Each newest assignment with the answer that it led to: done, label, gold, suggestion, and what the item's other people said most."""
    import pandas as pd

    rows = newest(assigned).merge(answers[[*PAIR, "label", "gold", "suggestion", "known", "shown", "right", "taken"]], on=PAIR, how="left")
    rows["done"] = rows["label"].notna()
    for name in ("known", "shown", "right", "taken"):
        rows[name] = rows[name].eq(True)
    rows["others"] = pd.Series(others_of(rows, answers), index=rows.index, dtype=object)
    return rows


def others_of(rows: "DataFrame", answers: "DataFrame") -> list[str | None]:
    """What most of the other people said of each row's item; None where nobody else did, or they are not of one mind."""
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for project, item, label in zip(answers["project"], answers["item"], answers["label"], strict=True):
        said = counts.setdefault((project, item), {})
        said[label] = said.get(label, 0) + 1
    found: list[str | None] = []
    for project, item, label in zip(rows["project"], rows["item"], rows["label"], strict=True):
        said = dict(counts.get((project, item), {}))
        if label in said:
            said[label] -= 1
        most = max(said.values(), default=0)
        best = [name for name, n in said.items() if n == most]
        found.append(best[0] if most > 0 and len(best) == 1 else None)
    return found


def policies(assigned: "DataFrame", answers: "DataFrame") -> "DataFrame":
    """A row for each policy and what its answers were held against: policy, given, labelled, against (gold, suggestion, others), n, differs, value, low, high,
    score (the mean that the policy gave).
    """
    import pandas as pd

    rows = joined(assigned, answers)
    rows["policy"] = rows["policy"].where(rows["policy"].notna(), NOT_SAID)
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
            rate = rate_of(apart, "differs")
            found.append(
                [
                    name,
                    len(part),
                    len(done),
                    against,
                    len(held),
                    int(apart["differs"].sum()),
                    rate.value,
                    rate.low,
                    rate.high,
                    part["score"].mean(),
                ]
            )
    columns = ["policy", "given", "labelled", "against", "n", "differs", "value", "low", "high", "score"]
    return pd.DataFrame(found, columns=columns).astype(dict.fromkeys(("value", "low", "high", "score"), float))


def reasons(assigned: "DataFrame") -> "DataFrame":
    """How often each reason was given, the most frequent first: reason, policy, n, share."""
    rows = newest(assigned)
    rows = rows.assign(**{name: rows[name].where(rows[name].notna(), NOT_SAID) for name in ("reason", "policy")})
    found = rows.groupby(["reason", "policy"], sort=True).size().reset_index(name="n")
    found["share"] = found["n"] / max(len(rows), 1)
    return found.sort_values(["n", "reason", "policy"], ascending=[False, True, True], ignore_index=True)
