"""Leave out figures of groups with fewer than MIN_ROWS rows, because such figures may reveal facts about single people.

Files leave out such groups for everybody. Pages, e-mails and JSON over HTTP leave them out for people who may not reveal masked values. In
answers of the store, such groups are counted together (`folded_groups`); in findings, their figures are left out (`finding_without_few`).
server/guarded_store.py calls both functions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from observability.core.finding import Finding
from observability.core.questions import Aggregate

if TYPE_CHECKING:
    from pandas import DataFrame

MIN_ROWS = 10
"""Minimum number of rows of a group whose figures are shown."""
FEWER = f"fewer than {MIN_ROWS}"
"""Shown in place of the figures of a smaller group, and in place of its name if several groups are counted together."""
OPERATIONAL = ("replica", "device", "source")
"""Names that a subject `name=value` may have if it is not about a group of people."""
GROUPED = ("feature.", "group.", "band.")
"""Prefixes of references of columns whose values are groups of people."""
BY_GROUP = ("groups", "slices", "ranked", "senders")
"""Names under which the evidence of a finding and the results of an audit hold figures by group."""
SUPPRESSED = "suppressed"
"""Key of the evidence in a finding whose figures are left out."""
COUNTS = ("n", "rows", "labelled", "requests")
"""Names under which the evidence of a finding and the results of an audit hold a count of rows."""


def is_about_few(finding: Finding) -> bool:
    """Whether a finding is about a group or slice with so few rows that it may reveal facts about single people. A group without rows
    reveals nothing.
    """
    return is_body_about_few({"n": finding.n, "subject": finding.subject, "slice": finding.slice})


def is_body_about_few(finding: Mapping[str, Any]) -> bool:
    """Whether a finding in JSON form is about a group or slice with so few rows that it may reveal facts about single people."""
    return _is_few(finding.get("n") or 0) and _is_about_a_group(str(finding.get("subject") or ""), finding.get("slice"))


def _is_about_a_group(subject: str, part: str | None) -> bool:
    """Whether a finding with this subject and slice is about a slice or about one group of people."""
    return bool(part) or ("=" in subject and subject.partition("=")[0] not in OPERATIONAL)


def rows_of_finding(finding: Finding) -> str:
    """The number of rows behind a finding, or words if the number is hidden."""
    return FEWER if finding.evidence.get(SUPPRESSED) else f"{finding.n:,}"


def findings_for_files(findings: Iterable[Finding]) -> list[Finding]:
    """Findings as they are written into a file. Findings about a group with few rows are left out, and so are the figures of such groups in
    the evidence of other findings.
    """
    return [finding_without_few(finding) for finding in findings if not is_about_few(finding)]


def finding_without_few(finding: Finding) -> Finding:
    """A finding without figures of groups with fewer than MIN_ROWS rows. If the finding is about such a group, its own figures are left
    out; otherwise only the figures of such groups in its evidence.
    """
    if not is_about_few(finding):
        evidence = without_few_groups(finding.evidence)
        if "by_day" in evidence and _is_about_a_group(finding.subject, finding.slice):
            evidence["by_day"] = [day for day in evidence["by_day"] if not _is_few(day[-1])]
        if "pair_by_day" in evidence:
            evidence["pair_by_day"] = [day for day in evidence["pair_by_day"] if not _is_few(day[-1])]
        return finding if evidence == finding.evidence else replace(finding, evidence=evidence)
    return replace(
        finding,
        value=None,
        low=None,
        high=None,
        limit=None,
        n=0,
        severity="unknown",
        because=f"`{finding.slice or finding.subject}` has {FEWER} rows here: your role does not show figures of so small a group.",
        likely_source=None,
        onset=None,
        event=None,
        evidence={SUPPRESSED: True},
        rank=0.0,
        news=None,
        acknowledged=False,
        proof=None,
    )


def without_few_groups(found: Mapping[str, Any]) -> dict[str, Any]:
    """Evidence of a finding, or results of an audit, without figures of small groups, at any depth."""
    return {name: without_few(value) if name in BY_GROUP else _inner_groups(value) for name, value in found.items()}


def _inner_groups(value: Any) -> Any:
    if isinstance(value, Mapping):
        return without_few_groups(value)
    return [_inner_groups(each) for each in value] if isinstance(value, list) else value


def without_few(value: Any) -> Any:
    """JSON without those entries of lists and mappings that count fewer than MIN_ROWS rows. The next smallest entries beside them are also
    left out, until at least two entries are missing that have enough rows together. Entries without a count are kept.
    """
    if isinstance(value, Mapping):
        hidden = _hidden_entries({name: _entry_rows(each) for name, each in value.items()})
        return {name: without_few(each) for name, each in value.items() if name not in hidden}
    if isinstance(value, list | tuple):
        hidden = _hidden_entries({place: _entry_rows(each) for place, each in enumerate(value)})
        return type(value)(without_few(each) for place, each in enumerate(value) if place not in hidden)
    return value


def _hidden_entries(counts: Mapping[Any, float | None]) -> set[Any]:
    """The entries to leave out. counts: the number of rows of each entry; None if it has no count."""
    ordered = sorted((rows, place) for place, (_, rows) in enumerate(counts.items()) if rows is not None and rows > 0)
    few = sum(rows < MIN_ROWS for rows, _ in ordered)
    while 0 < few < len(ordered) and (few < 2 or sum(rows for rows, _ in ordered[:few]) < MIN_ROWS):
        few += 1
    names = list(counts)
    return {names[place] for _, place in ordered[:few]}


def _entry_rows(entry: Any) -> float | None:
    """The number of rows that an entry counts; for a curve, that of its smallest point. None if it has no count."""
    if isinstance(entry, Mapping):
        return next((entry[name] for name in COUNTS if _is_count(entry.get(name))), None)
    if isinstance(entry, list) and entry and all(isinstance(each, Mapping) for each in entry):
        found = [_entry_rows(each) for each in entry]
        return None if None in found else min(rows for rows in found if rows is not None)
    return None


def _is_count(value: Any) -> bool:
    """Whether a value is a number of rows."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_few(count: Any) -> bool:
    """Whether a count is above zero and below MIN_ROWS."""
    return _is_count(count) and 0 < count < MIN_ROWS


def folded_groups(question: Aggregate, frame: "DataFrame") -> "DataFrame":
    """The answer to an aggregate in which small groups are counted together under the name FEWER; the same frame if there is no small
    group.

    A group is small if it, or one of its periods, classes or decisions, has fewer than MIN_ROWS rows but not zero. Small groups are counted
    together with the next smallest groups, until all figures have enough rows and at least two groups are combined. Totals then stay
    correct, and no difference of two figures reveals a small group.
    """
    keys = [name for name in question.key_names if name.startswith(GROUPED)]
    if not keys or frame.empty:
        return frame
    import pandas as pd

    groups = pd.MultiIndex.from_frame(frame[keys].astype(object).where(frame[keys].notna(), "null").astype(str)).factorize()[0]
    cells = _cells(question, frame, groups)
    small = _small(cells)
    if not small:
        return frame
    others = iter(cells.loc[~cells["group"].isin(small)].groupby("group")["n"].sum().sort_values(kind="stable").index)
    fold = set(small)

    def is_too_small() -> bool:
        return len(fold) < 2 or bool(_small(cells[cells["group"].isin(fold)].assign(group=0)))

    while is_too_small() and (more := next(others, None)) is not None:
        fold.add(more)
    folded = pd.Series(groups, frame.index).isin(fold)
    if is_too_small():
        return frame[~folded].reset_index(drop=True)
    return _added_up(question, frame.assign(**{name: frame[name].astype(object).mask(folded, FEWER) for name in keys}))


def without_small_levels(frame: "DataFrame", columns: Sequence[str]) -> "DataFrame":
    """The answer to a histogram; in some columns, bins with few rows are left out. In each of these columns, at least two bins are left
    out, and more of the smallest bins until they have enough rows together, so that the total does not reveal them. The rows of all periods
    count together.
    """
    if frame.empty or not columns:
        return frame
    import pandas as pd

    hidden = []
    for column, counts in frame[frame["column"].isin(columns)].groupby(["column", "bin"])["n"].sum().groupby(level=0):
        ordered = counts.droplevel(0).sort_values(kind="stable")
        ordered = ordered[ordered > 0]
        if ordered.empty or not _is_few(int(ordered.iloc[0])):
            continue
        few = int((ordered < MIN_ROWS).sum())
        while few < len(ordered) and (few < 2 or ordered.iloc[:few].sum() < MIN_ROWS):
            few += 1
        hidden += [(column, level) for level in ordered.index[:few]]
    if not hidden:
        return frame
    return frame[~pd.MultiIndex.from_frame(frame[["column", "bin"]]).isin(hidden)].reset_index(drop=True)


def _cells(question: Aggregate, frame: "DataFrame", groups: Any) -> "DataFrame":
    """The counts of each group by period, decision and label, as far as the question has these keys; for a histogram or sums, the counts of
    one of its columns.
    """
    whole = frame.assign(group=groups)
    item = "column" if question.histogram else "measure" if question.sums else None
    if item is not None:
        whole = whole[whole[item] == whole[item].iloc[0]]
    return whole[["group", "n", *(name for name in ("period", "decision", "label") if name in question.key_names)]]


def _small(cells: "DataFrame") -> set[Any]:
    """Groups in which a figure has fewer than MIN_ROWS rows. An unknown decision or label does not count as a class."""
    found: set[Any] = set()
    by = [name for name in ("period",) if name in cells]
    for more in ([], *([name] for name in ("decision", "label") if name in cells)):
        known = cells[cells[more[0]] >= 0] if more else cells
        counts = known.groupby(["group", *by, *more], observed=True)["n"].sum()
        few = counts[(counts > 0) & (counts < MIN_ROWS)]
        found |= set(few.index.get_level_values("group"))
    return found


def _added_up(question: Aggregate, frame: "DataFrame") -> "DataFrame":
    """The rows of an answer, with rows of equal keys summed into one."""
    keys = list(question.key_names)
    how = {name: {"low": "min", "high": "max"}.get(name, "sum") for name in frame.columns if name not in keys}
    return frame.groupby(keys, dropna=False, sort=False, as_index=False, observed=True).agg(how)[list(frame.columns)]


def leaves_few(counts: Sequence[int]) -> bool:
    """Whether a slice has too few rows to be shown, or leaves too few rows of a wider slice outside it. counts: rows of the slice, then
    rows of the wider slices.
    """
    return _is_few(counts[0]) or any(_is_few(wider - counts[0]) for wider in counts[1:])
