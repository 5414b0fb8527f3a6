"""Files leave out figures of groups of fewer than ten rows, state how many they left out, and change nothing else."""

import copy

from observability.review.agenda import Item
from observability.review.small_groups import LED_BY_FEW, week_without_small_groups


def finding(name: str, subject: str = "model", n: int = 500, **fields: object) -> dict:
    return {"id": name, "subject": subject, "slice": None, "n": n, "because": f"about {name}", **fields}


def incident(name: str, lead: str) -> dict:
    return {"incident": name, "lead": lead, "sentence": f"incident {name}", "findings": [lead]}


def item(name: str, **about: str) -> dict:
    return Item(f"incident:{name}", "incident", f"item {name}", "watch", "new", 0.5, "loan", about=about).to_json()


WEEK = {
    "models": [
        {
            "model": "loan",
            "findings": [
                finding("large"), finding("few", "sex=F", 9), finding("slice", "score", 3, slice="job=cook"), finding("edge", "sex=F", 10),
                finding("replica", "replica=r1", 4), finding("nobody", "sex=X", 0),
            ],
            "incidents": [incident("small", "few"), incident("kept", "large")],
        },
        {"model": "other", "findings": [finding("few")], "incidents": [incident("same-name", "few")]},
    ],
    "agenda": [
        item("small", incident="small"), item("kept", incident="kept"), item("slice", finding="slice"),
        item("both", incident="small") | {"also": [{"model": "other", "item": "i", "incident": "same-name"}]}, item("due"),
    ],
}  # fmt: skip


def test_a_week_leaves_out_small_groups_with_their_incidents_and_items() -> None:
    before = copy.deepcopy(WEEK)
    found = week_without_small_groups(WEEK)
    assert before == WEEK, "the frozen week itself still has the figures"
    loan, other = found["models"]
    assert [each["id"] for each in loan["findings"]] == ["large", "edge", "replica", "nobody"]
    assert [each["incident"] for each in loan["incidents"]] == ["kept"] and other == WEEK["models"][1]
    assert [each["title"] for each in found["agenda"]] == ["item kept", LED_BY_FEW, "item due"] and found["suppressed"] == 2


def test_records_of_small_groups_and_what_they_lead_are_left_out_too() -> None:
    records = [finding("cook", "job=cook", 3) | {"model": None}, finding("feed") | {"model": None}]
    pipeline = {"model": None, "findings": [], "incidents": [incident("of-cooks", "cook"), incident("late", "feed")]}
    agenda = [item("of-cooks", incident="of-cooks"), item("late", incident="late")]
    found = week_without_small_groups({"models": [], "pipeline": pipeline, "records": records, "agenda": agenda})
    assert [each["id"] for each in found["records"]] == ["feed"] and found["suppressed"] == 1
    assert [each["incident"] for each in found["pipeline"]["incidents"]] == ["late"]
    assert [each["title"] for each in found["agenda"]] == ["item late"]
