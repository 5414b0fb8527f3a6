"""Writes a report on two data frames, without a permanent store. The report shows what changed between a reference and the current rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from observability.core.errors import UsageError
from observability.core.finding import SEVERITIES, needs_action
from observability.export.review import template_environment
from observability.export.svg import paired_bars

if TYPE_CHECKING:
    from pandas import DataFrame, Series

BINS, LEVELS, MAX_DRAWN = 12, 8, 12
TOLD_UNKNOWN = ("serving/performance", "serving/drift", "serving/calibration", "serving/slices", "trust/fairness", "data/quality")
"""Analyzers whose `unknown` findings are listed, because two frames can provide their data. Other analyzers need logs, for example for cost
and latency.
"""


@dataclass(frozen=True)
class FramesReport:
    """The findings about two frames, and the page that shows them. In a notebook the object displays itself.

    findings: as from `check --json`, worst first, including findings that are OK. html: one file that fetches nothing.
    """

    findings: tuple[Mapping[str, Any], ...]
    html: str

    def save(self, path: str | Path) -> Path:
        """Write the page to a file, and return its path. Raises UsageError if it cannot be written."""
        target = Path(path)
        try:
            target.write_text(self.html, encoding="utf-8")
        except OSError as error:
            raise UsageError("the file cannot be written", got=f"{target}: {error.strerror}", attempt="Name an existing folder") from None
        return target

    def _repr_html_(self) -> str:
        """The page inside an HTML frame, so that its styles and names do not mix with those of the notebook."""
        return f'<iframe srcdoc="{escape(self.html)}" style="width:100%;height:720px;border:1px solid #DCE2E8" sandbox></iframe>'


def frames_html(
    findings: Sequence[Mapping[str, Any]], notes: Sequence[str], reference: "DataFrame", current: "DataFrame", incidents: Sequence[Any]
) -> str:
    """The HTML page. incidents: findings grouped by fault, worst first. notes: sentences about what was inferred and loaded."""
    drawn: dict[str, Markup] = {}
    for finding in findings:
        column = finding["subject"]
        if needs_action(finding["severity"]) and column in reference and column in current and len(drawn) < MAX_DRAWN:
            drawn.setdefault(column, column_drawing(column, reference[column], current[column]))
    told = [finding for finding in findings if finding["severity"] != "unknown" or finding["analyzer"] in TOLD_UNKNOWN]
    counts = {severity: sum(finding["severity"] == severity for finding in told) for severity in SEVERITIES}
    return (
        template_environment()
        .get_template("frames.html")
        .render(
            incidents=incidents,
            counts=counts,
            notes=notes,
            drawings=drawn,
            rows=(len(reference), len(current)),
            shown=[finding for finding in told if finding["severity"] != "ok"],
        )
    )


def column_drawing(name: str, reference: "Series[Any]", current: "Series[Any]") -> Markup:
    """A drawing of the shares of a column's values in both frames, side by side. Finite numbers are in bins of equal frequency; otherwise
    the most common levels are shown.
    """
    import numpy as np
    import pandas as pd

    both = pd.concat([reference, current], ignore_index=True)
    if pd.api.types.is_numeric_dtype(both) and not pd.api.types.is_bool_dtype(both) and both.nunique() > LEVELS:
        finite = [values[np.isfinite(values)] for values in (side.dropna().to_numpy(float) for side in (reference, current))]
        edges = np.unique(np.quantile(np.concatenate(finite), np.linspace(0, 1, BINS + 1)))
        labels = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges)]
        shares = [np.histogram(values, edges)[0] / max(len(side), 1) for values, side in zip(finite, (reference, current), strict=True)]
    else:
        texts = [side.astype("string").fillna("missing") for side in (reference, current)]
        labels = list(pd.concat(texts).value_counts().index[:LEVELS])
        shares = [np.array([(side == label).mean() for label in labels]) for side in texts]
    bars = [(str(label), float(one), float(other)) for label, one, other in zip(labels, *shares, strict=True)]
    return paired_bars(bars, label=f"{name}: share of rows, reference and current", names=("reference", "current"))
