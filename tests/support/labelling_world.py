"""Records of a labelling project whose people, items and machine are known: clean, or with chosen faults. Items differ in difficulty. The
machine makes its errors on the same items as people, so honest people often agree with it; nobody is anchored unless `anchored` is set.
People work in sessions of some hours.
"""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

END = datetime(2026, 5, 4)
START = END - timedelta(days=7)
CLASSES = np.array(["negative", "neutral", "positive"], object)
PEOPLE = tuple(f"ann-{place}" for place in range(1, 7))


def project(
    seed: int = 0, *, days: int = 35, items_a_day: int = 40, labels_an_item: int = 3, people: tuple[str, ...] = PEOPLE, gold: float = 0.4, right: float = 0.93,
    spread: float = 0.02, shown: float = 0.65, anchored: float = 0.0, anchored_since: datetime = END - timedelta(days=365), weak: str | None = None, weak_by: float = 0.0,
    weak_since: datetime = START, tired: float = 0.0, guideline_at: datetime | None = None, guideline_costs: float = 0.0, name: str = "moods",
) -> pd.DataFrame:  # fmt: skip
    """Annotations, one per row. right: accuracy of people; spread: differences between people; shown: share of labels with a visible
    suggestion; anchored: share of wrong suggestions that are accepted because they are seen; weak: a person, who loses accuracy by
    `weak_by` from `weak_since` on; tired: accuracy lost per hour of a session; guideline_costs: accuracy lost under guideline v2.
    """
    rng = np.random.default_rng([seed, 77])
    own = dict(zip(people, np.clip(rng.normal(right, spread, len(people)), 0.3, 0.99), strict=True))
    rows = []
    for day in range(days):
        begin = END - timedelta(days=days - day, hours=-9)
        clocks = {who: begin + timedelta(minutes=float(rng.uniform(0, 180))) for who in people}
        starts = dict(clocks)
        for place in range(items_a_day):
            truth, hard = int(rng.integers(3)), float(rng.beta(1, 4))
            sure = float(np.clip(1 - 0.6 * hard + rng.normal(0, 0.08), 0.34, 0.999))
            lure = (truth + int(rng.integers(1, 3))) % 3
            said = truth if rng.random() < sure else lure
            known = rng.random() < gold
            for who in rng.choice(people, labels_an_item, replace=False):
                seconds = float(12 * np.exp(rng.normal(0, 0.5)) * (1 + hard))
                clocks[who] += timedelta(seconds=seconds + float(rng.exponential(420)))
                at, seen = clocks[who], rng.random() < shown
                chance = 1 - (1 - own[who]) * 5 * hard
                chance -= tired * (at - starts[who]).total_seconds() / 3600
                chance -= weak_by if who == weak and at >= weak_since else 0.0
                chance -= guideline_costs if guideline_at and at >= guideline_at else 0.0
                label = truth if rng.random() < max(chance, 0.05) else lure if rng.random() < 0.7 else (2 * truth - lure) % 3
                if seen and said != truth and at >= anchored_since and rng.random() < anchored:
                    label = said
                rows.append(
                    {
                        "project": name, "item": f"{day}-{place}", "annotator": str(who), "at": at, "label": CLASSES[label], "seconds": round(seconds, 1),
                        "gold": CLASSES[truth] if known else None, "suggestion": CLASSES[said] if seen else None,
                        "suggestion_confidence": round(sure, 3) if seen else np.nan,
                        "guideline": None if guideline_at is None else "v2" if at >= guideline_at else "v1",
                    }
                )  # fmt: skip
    frame = pd.DataFrame(rows).astype({"at": "datetime64[us]"})
    return frame[frame["at"] < END].sort_values("at", ignore_index=True)
