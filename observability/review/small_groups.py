"""Leave groups of fewer than MIN_ROWS rows out of a frozen week."""

from observability.core.formatting import plural
from observability.core.small_groups import MIN_ROWS, is_body_about_few
from observability.review.snapshot import Body

LED_BY_FEW = f"The leading finding is about fewer than {MIN_ROWS} rows and is left out; the item's other findings stay."
"""The title of an agenda item whose leading finding is about a small group and was left out."""


def week_without_small_groups(body: Body) -> Body:
    """A frozen week without findings about groups of fewer than MIN_ROWS rows, without incidents that such findings lead, and without
    agenda items about these; `suppressed`: number of findings that were left out. The stored week itself keeps them.
    """
    parts, records = [*body["models"], *filter(None, [body.get("pipeline")])], body.get("records", [])
    known = [(part["model"], finding) for part in parts for finding in part["findings"]] + [(each["model"], each) for each in records]
    small = {(model, finding["id"]) for model, finding in known if is_body_about_few(finding)}
    gone = {incident["incident"] for part in parts for incident in part["incidents"] if (part["model"], incident["lead"]) in small}

    def shown(part: Body) -> Body:
        """The part of one model without the findings and incidents about small groups."""
        return {
            **part,
            "findings": [finding for finding in part["findings"] if (part["model"], finding["id"]) not in small],
            "incidents": [incident for incident in part["incidents"] if incident["incident"] not in gone],
        }

    findings = {name for _, name in small}
    agenda = [
        {**item, "title": LED_BY_FEW, "reasons": []} if _leads_with(item, gone, findings) else item
        for item in body["agenda"]
        if not _is_only_about(item, gone, findings)
    ]
    kept: Body = {"records": [finding for finding in records if (finding["model"], finding["id"]) not in small]} if records else {}
    kept |= {"pipeline": shown(body["pipeline"])} if body.get("pipeline") else {}
    return {**body, **kept, "models": [shown(part) for part in body["models"]], "agenda": agenda, "suppressed": len(small)}


def _leads_with(item: Body, incidents: set[str], findings: set[str]) -> bool:
    """Whether the leading incident or finding of an agenda item was left out."""
    about = item.get("about") or {}
    return about.get("incident") in incidents if about.get("incident") else about.get("finding") in findings


def _is_only_about(item: Body, incidents: set[str], findings: set[str]) -> bool:
    """Whether all incidents and findings of an agenda item were left out."""
    about = [each for each in (item.get("about") or {}, *(item.get("also") or ())) if each.get("incident") or each.get("finding")]
    return bool(about) and all(each["incident"] in incidents if each.get("incident") else each["finding"] in findings for each in about)


def suppressed_words(count: int) -> str:
    """A sentence that says how many findings a file leaves out; empty if there are none."""
    return f"Left out: {plural(count, 'finding')} about groups of fewer than {MIN_ROWS} rows." if count else ""
