"""A file of held-out predictions whose columns have the names in the README's `register` command."""

import csv
import random
from pathlib import Path


def write_held_out(path: Path, rows: int = 300) -> None:
    """Write a reference whose labels follow its probabilities."""
    dice = random.Random(1)
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(("age", "income", "sex", "probability", "defaulted"))
        for _ in range(rows):
            score = round(dice.random(), 4)
            lines.writerow((dice.randint(18, 80), dice.randint(20_000, 90_000), dice.choice("FM"), score, int(dice.random() < score)))
