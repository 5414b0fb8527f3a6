"""The answers of a model to a fixed set of questions, round by round, as arrays.

A round is one asking of the set: the field `round` of the records, else their day. Rounds are the rows and items the columns of every
array.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.probing.ask import normal_answer
from observability.stats.arrays import Bools, Floats, Integers
from observability.stats.text_similarity import text_similarities

if TYPE_CHECKING:
    from pandas import DataFrame

CLASSES_SHORTER = 40
"""Answers are compared as classes where their median length is at most so many characters and no record says otherwise."""
TOKENS = ("input_tokens", "output_tokens")


@dataclass(frozen=True, eq=False)
class ProbeRounds:
    """One model and set.

    times: of the first answer of each round, naive UTC. items: names of the questions; questions: their texts, empty where not
    logged. codes: the normalised answer as a number, -1 without one. texts: the answers as they came, None without one. asked:
    whether there is a record. failed: without an answer. refused, ill_formed: NaN where it is not known. right: 1 where the answer
    is the expected one, NaN without either. latency (ms), tokens (both), cost: NaN where not known. rubric: by name of the score.
    versions: the declared version of most answers of each round, None without one. free_text: compared by similarity. currency: of the
    costs, where the records state one and the same. source: how the answers came about, as `simulated`, where all records state the same.
    """

    model: str
    name: str
    times: tuple[datetime, ...]
    items: tuple[str, ...]
    questions: tuple[str, ...]
    codes: Integers
    texts: Any
    asked: Bools
    refused: Floats
    ill_formed: Floats
    right: Floats
    latency: Floats
    input_tokens: Floats
    output_tokens: Floats
    cost: Floats
    rubric: Mapping[str, Floats]
    versions: tuple[str | None, ...]
    free_text: bool
    currency: str | None = None
    source: str | None = None

    @property
    def answered(self) -> Bools:
        """Where there is an answer."""
        return self.codes >= 0

    @property
    def failed(self) -> Bools:
        """Where a question was asked and no answer came."""
        return self.asked & ~self.answered

    @property
    def failed_share(self) -> Floats:
        """1 where no answer came, 0 where one did, NaN where nothing was asked."""
        return np.where(self.asked, self.failed.astype(float), np.nan)

    def similarities(self) -> Floats:
        """Of free text: the similarity of every pair of rounds for each item, items × rounds × rounds; NaN without an answer."""
        rounds = len(self.times)
        found = np.full((len(self.items), rounds, rounds), np.nan)
        for place in range(len(self.items)):
            there = np.flatnonzero(self.answered[:, place])
            found[place][np.ix_(there, there)] = text_similarities([self.texts[row, place] for row in there])
        return found


def probe_rounds(answers: "DataFrame") -> Iterator[ProbeRounds]:
    """The rounds of each model and set, in the order of their names. Answers without `item` are no probes that can be compared."""
    if answers.empty:
        return
    sets: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in answers.sort_values(["at", "id"], kind="stable").to_dict("records"):
        extra = row["extra"] if isinstance(row["extra"], dict) else {}
        if extra.get("item") is not None:
            key = (str(row["model"]), str(extra.get("set") or "probes"))
            label = str(extra.get("round") or f"{row['at']:%Y-%m-%d}")
            sets.setdefault(key, []).append(
                {**{str(key): value for key, value in row.items()}, "extra": extra, "item": str(extra["item"]), "round": label}
            )
    for model, name in sorted(sets):
        yield _rounds_of(model, name, sets[model, name])


def _rounds_of(model: str, name: str, rows: list[dict[str, Any]]) -> ProbeRounds:
    """The rounds of one model and set, from rows in order of time; of a question that was asked twice in a round, the last answer."""
    first: dict[str, datetime] = {}
    for row in rows:
        first.setdefault(row["round"], row["at"].to_pydatetime())
    places = {label: place for place, label in enumerate(first)}
    items = tuple(sorted({row["item"] for row in rows}))
    questions = {row["item"]: str(row["extra"].get("question") or "") for row in rows}
    columns = {item: place for place, item in enumerate(items)}
    shape = (len(places), len(items))
    numbers = {key: np.full(shape, np.nan) for key in ("refused", "ill_formed", "right", "latency", "cost", *TOKENS)}
    texts, asked = np.full(shape, None, object), np.zeros(shape, bool)
    rubric: dict[str, Floats] = {}
    versions: list[dict[str, int]] = [{} for _ in places]
    stated: set[Any] = set()
    currencies: set[Any] = set()
    for row in rows:
        at, extra = (places[row["round"]], columns[row["item"]]), row["extra"]
        asked[at] = True
        texts[at] = None
        if row["status"] != "ok" or not isinstance(row["prediction"], str):
            continue
        texts[at] = row["prediction"]
        stated.add(extra.get("answers"))
        versions[at[0]][row["version"]] = versions[at[0]].get(row["version"], 0) + 1
        numbers["latency"][at], numbers["cost"][at] = row["latency_ms"], row["cost"]
        if row["cost"] is not None and not np.isnan(row["cost"]):
            currencies.add(extra.get("currency"))
        numbers["refused"][at] = _share(extra.get("refused"))
        well = _share(extra.get("well_formed"))
        numbers["ill_formed"][at] = 1 - well
        if isinstance(extra.get("expected"), str):
            numbers["right"][at] = normal_answer(extra["expected"]) == normal_answer(row["prediction"])
        features: dict[str, Any] = row["features"] if isinstance(row["features"], dict) else {}
        for key in TOKENS:
            numbers[key][at] = _number(features.get(key))
        scores = extra.get("rubric")
        for score, value in scores.items() if isinstance(scores, dict) else ():
            rubric.setdefault(str(score), np.full(shape, np.nan))[at] = _number(value)
    known = [text for text in texts.ravel() if text is not None]
    lengths = [len(text) for text in known]
    free_text = "text" in stated if stated - {None} else bool(lengths) and float(np.median(lengths)) > CLASSES_SHORTER
    levels = {text: place for place, text in enumerate(sorted({normal_answer(text) for text in known}))}
    codes = np.array([[-1 if text is None else levels[normal_answer(text)] for text in line] for line in texts], np.int64).reshape(shape)
    return ProbeRounds(
        model,
        name,
        tuple(first.values()),
        items,
        tuple(questions.get(item, "") for item in items),
        codes,
        texts,
        asked,
        rubric=rubric,
        versions=tuple(max(each, key=lambda version: (each[version], version)) if each else None for each in versions),
        free_text=free_text,
        currency=_only_text(currencies),
        source=_only_text({row["extra"].get("source") for row in rows}),
        **numbers,
    )


def _only_text(values: Collection[Any]) -> str | None:
    """The text that is the only one of some values; None where another one is beside it, or none is a text."""
    (first, *others) = values or (None,)
    return first if isinstance(first, str) and first and not others else None


def _share(value: Any) -> float:
    """1 for true, 0 for false, NaN for anything else."""
    return float(value) if isinstance(value, bool) else np.nan


def _number(value: Any) -> float:
    """A number; NaN for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else np.nan
