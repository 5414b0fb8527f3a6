"""Find dataset versions that were logged with more than one content.

Reads records of kind `dataset`. Records of the same name and version are compared by checksum, or by number of rows if a checksum is
missing. If they differ, it is ambiguous which training data that version contains.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Finding
from observability.core.numerals import short_checksum
from observability.core.questions import Records
from observability.core.time import aware_utc, naive_utc
from observability.proofs.records import DATASET_PROOFS

if TYPE_CHECKING:
    from pandas import DataFrame

NAME, METRIC = "data/datasets", "dataset_contents"
DATASETS = Records("dataset", ("dataset", "version", "at", "rows", "checksum"), ever=True)


@dataclass(frozen=True)
class Content:
    """The contents of one version of a dataset.

    logged: number of records. contents: distinct contents, oldest first (a checksum, or the number of rows if a record has no checksum).
    told: whether every record has a checksum. at: time of the newest record. since: time at which the content first differed.
    """

    dataset: str
    version: str
    logged: int
    contents: tuple[str, ...]
    told: bool
    at: datetime
    since: datetime | None


def needs(context: Context) -> dict[str, Ask]:
    """Ask for every version logged up to the window's end."""
    return {"datasets": Ask(DATASETS)}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return a finding for each dataset with a record in the window. It names the version with the most contents, or a version that
    cannot be verified; otherwise it says that no version has more than one content.
    """
    start = naive_utc(context.window.start)
    found: dict[str, list[Content]] = {}
    for each in contents_of(frames["datasets"]):
        if each.at >= start:
            found.setdefault(each.dataset, []).append(each)
    return [dataset_finding(name, versions, context) for name, versions in sorted(found.items())]


def contents_of(datasets: "DataFrame") -> Iterator[Content]:
    """Yield the contents of each version of each dataset, ordered by name and version."""
    ordered = datasets.assign(checksum=datasets["checksum"].map(lambda each: each or "")).sort_values(["at", "checksum", "rows"])
    for (name, version), part in ordered.groupby(["dataset", "version"], sort=True):
        told = bool((part["checksum"] != "").all())
        names = part["checksum"] if told else part["rows"].map(lambda each: f"{int(each):,} rows")
        moments: list[datetime] = part["at"].dt.to_pydatetime().tolist()
        changed = [at for at, content in zip(moments, names, strict=True) if content != names.iloc[0]]
        yield Content(
            str(name), str(version), len(part), tuple(dict.fromkeys(map(str, names))), told, moments[-1], changed[0] if changed else None
        )


def dataset_finding(name: str, versions: list[Content], context: Context) -> Finding:
    """Return the finding about one dataset."""
    logged = sum(each.logged for each in versions)
    blank = replace(context.undecided(NAME, f"dataset:{name}", METRIC, logged, "", against="level"), model=None, version=None, limit=1.0)
    mixed = [each for each in versions if len(each.contents) > 1]
    if not mixed:
        unsure = [each for each in versions if each.logged > 1 and not each.told]
        if unsure:
            because = (
                f"Version `{unsure[0].version}` of dataset `{name}` cannot be verified: it was logged {unsure[0].logged:,} "
                "times, not always with a checksum."
            )
            return replace(blank, because=because)
        said = f"{len(versions):,} {'version' if len(versions) == 1 else 'versions'} of dataset `{name}`"
        return replace(blank, value=1.0, low=1.0, high=1.0, severity="ok", because=f"No version has more than one content: {said} checked.")
    worst = max(mixed, key=lambda each: (len(each.contents), each.at, each.version))
    since = worst.since or worst.at
    held = "; ".join(short_checksum(each) for each in worst.contents[:3])
    more = f" {len(mixed) - 1:,} more of its versions {'has' if len(mixed) == 2 else 'have'} several contents." if len(mixed) > 1 else ""
    n = float(len(worst.contents))
    return replace(
        blank,
        value=n,
        low=n,
        high=n,
        severity="act",
        likely_source="input",
        rank=2.0,
        onset=max(aware_utc(since), context.window.start),
        because=f"Version `{worst.version}` of dataset `{name}` was logged with {len(worst.contents):,} different contents "
        f"({held}): its training data are ambiguous.{more}",
        evidence={"dataset_version": worst.version, "contents": list(worst.contents), "onset_known": "dated"},
    )


ANALYZER = Analyzer(
    NAME,
    "Does each version of a dataset have one content?",
    needs,
    analyze,
    about="records",
    proofs=DATASET_PROOFS,
)
