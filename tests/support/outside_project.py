"""Files as people outside the project write them: other column names, words as labels and an extra column. Also files with errors."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

FEATURES = ("spend_eur", "visits", "channel", "member")
SCORE, LABEL, WHEN, TICKET = "p_churn", "churned", "seen_on", "ticket"
HELD_OUT, SERVED = 3000, 1400


def table(rows: int, seed: int, start: str) -> pd.DataFrame:
    """Customers of a shop, one row every quarter of an hour, with the probability of leaving by a model and whether they left."""
    random = np.random.default_rng(seed)
    spend = random.gamma(2.0, 40.0, rows).round(2)
    visits = random.poisson(6, rows)
    channel = random.choice(["shop", "web", "phone"], rows, p=[0.5, 0.4, 0.1])
    member = random.choice(["yes", "no"], rows)
    truth = 1 / (1 + np.exp(-(1.2 - 0.012 * spend - 0.15 * visits + 0.8 * (channel == "phone"))))
    left = random.random(rows) < truth
    score = np.clip(truth + random.normal(0, 0.05, rows), 0.001, 0.999).round(4)
    when = pd.date_range(start, periods=rows, freq="15min").strftime("%Y-%m-%d %H:%M")
    return pd.DataFrame(
        {
            TICKET: [f"T{seed}-{number:05}" for number in range(rows)],
            WHEN: when,
            "spend_eur": spend,
            "visits": visits,
            "channel": channel,
            "member": member,
            SCORE: score,
            LABEL: np.where(left, "left", "stayed"),
        }
    )


def held_out() -> pd.DataFrame:
    """The reference."""
    return table(HELD_OUT, 1, "2024-01-01")


def served() -> pd.DataFrame:
    """Serving logs of two weeks."""
    return table(SERVED, 2, "2024-03-04")


def accuracy(rows: pd.DataFrame, threshold: float = 0.5) -> float:
    """The share of correct decisions, by numpy."""
    return float(np.mean((rows[SCORE].to_numpy() >= threshold) == (rows[LABEL].to_numpy() == "left")))


def auc(rows: pd.DataFrame) -> float:
    """By numpy: in how many of the pairs of a customer who left and one who stayed the first has the higher score; ties count half."""
    first, second = (rows.loc[rows[LABEL] == word, SCORE].to_numpy() for word in ("left", "stayed"))
    higher, equal = (first[:, None] > second[None, :]).mean(), (first[:, None] == second[None, :]).mean()
    return float(higher + equal / 2)


def wrong_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files whose content does not fit their extension. With each comes a word that the message about it must contain."""
    good = held_out().head(50)
    parquet = BytesIO()
    good.to_parquet(parquet)
    contents = {
        "page.csv": (b"<!DOCTYPE html><html><body><table><tr><td>1</td></tr></table></body></html>", "HTML"),
        "nothing.csv": (b"", "empty"),
        "cut.parquet": (parquet.getvalue()[: parquet.tell() // 2], "Parquet"),
        "sheet.csv": (b"PK\x03\x04\x14\x00\x06\x00\x08\x00[Content_Types].xml" + bytes(range(256)) * 4, "CSV"),
        "latin.csv": ("ticket,stadt,p_churn,churned\nT1,K\xf6ln,0.5,left\n".encode("latin-1"), "UTF-8"),
        "header.csv": ((",".join(good.columns) + "\n").encode(), "no rows"),
    }
    found = {}
    for name, (content, word) in contents.items():
        path = folder / name
        path.write_bytes(content)
        found[name] = (path, word)
    return found
