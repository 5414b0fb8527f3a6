"""The answers of a model to a fixed set of questions, round by round, as arrays.

A round is one run through the set: it is given by the field `round` of the records, else by their day. In every array, rows are rounds and
columns are items (questions).
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.probing.answer_vectors import EMBEDDING, ENCODER, unpacked_vector
from observability.probing.ask import answer_number, normal_answer
from observability.stats.arrays import Bools, Floats, Integers
from observability.stats.text_similarity import text_similarities, unrelated_cosine

if TYPE_CHECKING:
    from pandas import DataFrame

CLASSES_SHORTER = 40
"""Answers with a median length of at most this many characters are compared as classes, unless a record states otherwise."""
TOKENS = ("input_tokens", "output_tokens")


@dataclass(frozen=True, eq=False)
class ProbeRounds:
    """The answers of one model to one set.

    times: time of the first answer of each round, naive UTC. items: names of the questions; questions: their texts, empty if not logged.
    codes: the normalised answer as a number, -1 if there is none. texts: the unchanged answers, None for a missing one. asked: whether
    there is a record. failed: the question was asked and has no answer. refused, ill_formed: NaN if unknown. right: 1 if the answer is the
    expected one, 0 if not, NaN if either is missing. latency (ms), tokens (both), cost: NaN if not known. rubric: by name of the score.
    versions: for each round, the version that most answers declare, None without one. free_text: whether answers are compared by
    similarity. currency: the currency of the costs, if all records state the same one. source: the origin of the answers, such as
    `simulated`, if all records state the same one. encoders: the encoder of the answers of each round, None without one. vectors: the
    vectors of the answers, of length 1, None without an encoder. values: for a set with numeric answers, the numbers, NaN for a missing
    one; otherwise None. expected: the right numbers, in the same format. tolerance: the tolerance that the newest answers state.
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
    encoders: tuple[str | None, ...] = ()
    vectors: Any = None
    values: Floats | None = None
    expected: Floats | None = None
    tolerance: float | None = None

    @property
    def answered(self) -> Bools:
        """A mask of the questions that have an answer."""
        return self.codes >= 0

    @property
    def failed(self) -> Bools:
        """A mask of the questions that were asked but not answered."""
        return self.asked & ~self.answered

    @property
    def failed_share(self) -> Floats:
        """1 if no answer came, 0 if one did, NaN if the question was not asked."""
        return np.where(self.asked, self.failed.astype(float), np.nan)

    def comparable(self, last: int) -> Bools:
        """For each round, whether its answers can be compared with those of round `last`. If round `last` has no encoder they always can;
        otherwise both rounds need the same encoder.
        """
        encoder = self.encoders[last]
        return np.array([encoder is None or each == encoder for each in self.encoders], bool)

    def similarities(self, last: int) -> Floats:
        """For free text, the similarity between each pair of rounds for each item, items × rounds × rounds; NaN if the two cannot be
        compared.

        It is computed from the vectors of the encoder of round `last`, on a scale from 0 (like answers to different questions) to 1;
        without an encoder, from hashed n-grams.
        """
        rounds, encoder = len(self.times), self.encoders[last]
        found = np.full((len(self.items), rounds, rounds), np.nan)
        there = self.answered & self.comparable(last)[:, None]
        if encoder is not None:
            there &= np.array([[each is not None for each in line] for line in self.vectors], bool)
            common = unrelated_cosine([np.stack(list(self.vectors[row, own])) for row, own in enumerate(there) if own.any()])
        for place in range(len(self.items)):
            rows = np.flatnonzero(there[:, place])
            if encoder is None or not rows.size:
                own = text_similarities([self.texts[row, place] for row in rows])
            else:
                vectors = np.stack(list(self.vectors[rows, place]))
                own = np.clip((vectors @ vectors.T - common) / (1 - common), 0.0, 1.0)
            found[place][np.ix_(rows, rows)] = own
        return found


def probe_rounds(answers: "DataFrame") -> Iterator[ProbeRounds]:
    """The rounds of each model and set, ordered by name. Answers without `item` are left out, because they cannot be compared."""
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
    """The rounds of one model and set, from rows in order of time. If a question was asked twice in a round, its last answer counts."""
    first: dict[str, datetime] = {}
    for row in rows:
        first.setdefault(row["round"], row["at"].to_pydatetime())
    places = {label: place for place, label in enumerate(first)}
    items = tuple(sorted({row["item"] for row in rows}))
    questions = {row["item"]: str(row["extra"].get("question") or "") for row in rows}
    columns = {item: place for place, item in enumerate(items)}
    shape = (len(places), len(items))
    numbers = {key: np.full(shape, np.nan) for key in ("refused", "ill_formed", "right", "latency", "cost", *TOKENS)}
    texts, vectors, made_by, known_answers, asked = *(np.full(shape, None, object) for _ in range(4)), np.zeros(shape, bool)
    encoders: list[dict[str, int]] = [{} for _ in places]
    sizes: dict[str, int] = {}
    rubric: dict[str, Floats] = {}
    versions: list[dict[str, int]] = [{} for _ in places]
    stated: set[Any] = set()
    currencies: set[Any] = set()
    tolerance: float | None = None
    for row in rows:
        at, extra = (places[row["round"]], columns[row["item"]]), row["extra"]
        asked[at] = True
        texts[at] = vectors[at] = None
        if row["status"] != "ok" or not isinstance(row["prediction"], str):
            continue
        texts[at] = row["prediction"]
        encoder, vector = extra.get(ENCODER), unpacked_vector(extra.get(EMBEDDING))
        if isinstance(encoder, str) and vector is not None and len(vector) == sizes.setdefault(encoder, len(vector)):
            vectors[at], made_by[at] = vector, encoder
            encoders[at[0]][encoder] = encoders[at[0]].get(encoder, 0) + 1
        stated.add(extra.get("answers"))
        tolerance = kept if np.isfinite(kept := _number(extra.get("tolerance"))) else tolerance
        versions[at[0]][row["version"]] = versions[at[0]].get(row["version"], 0) + 1
        numbers["latency"][at], numbers["cost"][at] = row["latency_ms"], row["cost"]
        if row["cost"] is not None and not np.isnan(row["cost"]):
            currencies.add(extra.get("currency"))
        numbers["refused"][at] = _share(extra.get("refused"))
        well = _share(extra.get("well_formed"))
        numbers["ill_formed"][at] = 1 - well
        if isinstance(extra.get("expected"), str):
            known_answers[at] = extra["expected"]
            numbers["right"][at] = normal_answer(extra["expected"]) == normal_answer(row["prediction"])
        features: dict[str, Any] = row["features"] if isinstance(row["features"], dict) else {}
        for key in TOKENS:
            numbers[key][at] = _number(features.get(key))
        scores = extra.get("rubric")
        for score, value in scores.items() if isinstance(scores, dict) else ():
            rubric.setdefault(str(score), np.full(shape, np.nan))[at] = _number(value)
    known = [text for text in texts.ravel() if text is not None]
    lengths = [len(text) for text in known]
    values = _answer_numbers(texts) if "number" in stated else None
    free_text = (
        False
        if values is not None
        else "text" in stated
        if stated - {None}
        else bool(lengths) and float(np.median(lengths)) > CLASSES_SHORTER
    )
    levels = {text: place for place, text in enumerate(sorted({normal_answer(text) for text in known}))}
    codes = np.array([[-1 if text is None else levels[normal_answer(text)] for text in line] for line in texts], np.int64).reshape(shape)
    of_rounds = tuple(_most_frequent(each) for each in encoders)
    vectors[made_by != np.array(of_rounds, object)[:, None]] = None
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
        versions=tuple(_most_frequent(each) for each in versions),
        free_text=free_text,
        currency=_only_text(currencies),
        source=_only_text({row["extra"].get("source") for row in rows}),
        encoders=of_rounds,
        vectors=vectors,
        values=values,
        expected=None if values is None else _parsed_numbers(known_answers),
        tolerance=tolerance,
        **numbers,
    )


def _answer_numbers(texts: Any) -> Floats | None:
    """The answers as numbers, NaN for other answers; None if fewer than half of them are numbers."""
    found = _parsed_numbers(texts)
    return found if 2 * np.isfinite(found).sum() >= sum(text is not None for text in texts.ravel()) else None


def _parsed_numbers(texts: Any) -> Floats:
    """The texts as numbers, NaN for other texts."""
    parsed = [[None if text is None else answer_number(text) for text in line] for line in texts]
    return np.array([[np.nan if value is None else value for value in line] for line in parsed], np.float64).reshape(texts.shape)


def _most_frequent(counts: Mapping[str, int]) -> str | None:
    """The name with the largest count (among equal counts, the last name in alphabetical order); None if there are no names."""
    return max(counts, key=lambda name: (counts[name], name)) if counts else None


def day_of_round(at: datetime) -> int:
    """The day of a round, as number of days since 1970."""
    return (at - datetime(1970, 1, 1)).days


def _only_text(values: Collection[Any]) -> str | None:
    """The text, if a collection has exactly one value and this is a non-empty text; otherwise None."""
    (first, *others) = values or (None,)
    return first if isinstance(first, str) and first and not others else None


def _share(value: Any) -> float:
    """1 for true, 0 for false, NaN for anything else."""
    return float(value) if isinstance(value, bool) else np.nan


def _number(value: Any) -> float:
    """The value if it is a number; NaN for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else np.nan
