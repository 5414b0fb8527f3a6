"""The guard of a live model: finds subjects (users) that copy the model, send unfamiliar inputs, or search its decision boundary.

Everything is computed on samples of limited size, of requests and of the reference. A subject is compared with the requests of all other
subjects. If these are fewer than MIN_REQUESTS, its coverage and its margins are compared with rows of the reference; coverage already if
these are fewer than MIN_OTHERS.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import bdtrc, gammaln

from observability.stats.arrays import Array, Bools, Floats, Integers
from observability.stats.interval import Interval, rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.core.catalog import Model

PROTOTYPES, MIN_REQUESTS, ROWS = 200, 50, 3000
"""Number of points that cover the input space, minimum number of requests of a subject that is judged, and maximum number of reference
rows.
"""
MIN_OTHERS = 2 * MIN_REQUESTS
"""The coverage of a subject is compared with that of other subjects only if these sent at least this many requests, because at most half of
them are drawn for the comparison.
"""
HALFWAY = 0.5
"""The coverage of a subject that is compared with the reference is a finding only if it covers at least this part of the additional space
that evenly spread requests would cover. Inputs that spread wider, or another mix of segments, can add as much, so the finding is a warning
and puts nobody on the block list.
"""
RANGE = (0.01, 0.99)
"""The points that cover the input space are spread evenly between these quantiles of each number in the reference."""
FALSE_ALARM = 1e-4
"""Probability that one of the checks names any subject in a clean window. The judged subjects share this probability."""
FAR, NEIGHBOUR = 0.99, 5
"""A request is far if its distance exceeds this quantile of the reference's own distances. The second number is the rank of the nearest
neighbour to which distances are measured.
"""
FAR_FACTOR, BOUNDARY, BOUNDARY_FACTOR, MIN_DUPLICATES = 3.0, 0.05, 3.0, 20
"""Minimum multiple of the usual share of far requests; share of margins that counts as near the boundary; minimum multiple of the usual
share near the boundary; minimum number of near duplicates for a search of the boundary.
"""
MAX_SENDERS, MIN_FAR, FAR_TIMES, MAX_OF_FAR = 5, 5, 2.0, 0.5
"""Main senders of far requests: their maximum number; minimum number of far requests of each; minimum ratio of its share of far requests to
the share of the other subjects; share of all far requests that the main senders together must exceed.
"""
CELL = 0.1
"""Width of the cells within which requests count as near-identical, in standard deviations of the reference."""
CHUNK, DIGITS = 500, 5
"""Number of requests whose distances are computed at once; number of decimals to which distances are rounded."""
NOT_NAMED = "not named"
"""Stands for the subject of requests that name no subject."""
MISSING = 3.0
"""Distance between a missing number (or an unknown level) and a known one, in standard deviations."""


@dataclass(frozen=True)
class GuardClaim:
    """A claim about one unusual subject. check: extraction, unfamiliar, boundary, oversized or prompt. share: the measured share with its
    interval; usual: its baseline. ids: some of the subject's requests. senders: for odd texts, the subjects that sent them, most first.
    apart: the senders that sent significantly more than the other senders. groups: for a search of the boundary, the number of groups of at
    least three near-identical requests. alone: whether the check compares the subject with rows of the reference, because other subjects
    sent too few requests.
    """

    subject: str
    check: str
    share: Interval
    usual: float
    requests: int
    p_value: float | None
    ids: tuple[str, ...]
    senders: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    groups: int = 0
    alone: bool = False

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects that the claim names."""
        return self.senders or ((self.subject,) if self.subject != NOT_NAMED else ())

    @property
    def blocked(self) -> tuple[str, ...]:
        """The subjects that are unusual themselves, and are therefore on the block list. Drift of the inputs also changes the coverage of
        a reference, so it puts nobody there.
        """
        return self.apart if self.senders else () if self.alone and self.check == "extraction" else self.subjects


@dataclass(frozen=True)
class FarSender:
    """A subject that sent far requests. far: number of far requests; n: number of all its requests in the sample."""

    subject: str
    far: int
    n: int


@dataclass(frozen=True)
class InputSpace:
    """The input space of a reference: numbers are measured in its standard deviations; two different levels of a category have the distance
    1.

    points: the rows of the reference. own: for each of these rows, the distance to its neighbour among the other rows. far: the distance
    that 1 % of these rows exceed. prototypes: points spread evenly over the ranges of the numbers and the levels of the categories.
    """

    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    centre: Floats
    scale: Floats
    levels: Mapping[str, tuple[str, ...]]
    points: Floats
    far: float
    prototypes: Floats
    own: Floats

    def encode(self, columns: Mapping[str, Array]) -> Floats:
        """The requests as points. A missing number is replaced by the median of the reference, and is 3 standard deviations away in a
        separate column.
        """
        return _points(columns, self.numbers, self.categories, self.centre, self.scale, self.levels)


def _points(
    columns: Mapping[str, Array],
    numbers: Sequence[str],
    categories: Sequence[str],
    centre: Floats,
    scale: Floats,
    levels: Mapping[str, tuple[str, ...]],
) -> Floats:
    """The requests as points, one row each. Numbers are standardized, with a column for missing values; categories are one-hot encoded."""
    parts: list[Floats] = []
    for place, name in enumerate(numbers):
        given = np.asarray(columns[name], np.float64)
        known = np.isfinite(given)
        parts += [np.where(known, (given - centre[place]) / scale[place], 0.0), np.where(known, 0.0, MISSING)]
    for name in categories:
        texts = np.array([str(value) for value in columns[name]])
        known_level = np.zeros(len(texts), np.bool_)
        for level in levels[name]:
            hit = texts == level
            known_level |= hit
            parts.append(np.where(hit, np.sqrt(0.5), 0.0))
        parts.append(np.where(known_level, 0.0, MISSING))
    return np.column_stack(parts) if parts else np.empty((0, 0))


def input_space(columns: Mapping[str, Array], numbers: Sequence[str], categories: Sequence[str], seed: int = 0) -> InputSpace | None:
    """The input space of at most ROWS reference rows; None with fewer than 100 rows, or without features."""
    size = len(next(iter(columns.values()))) if columns else 0
    if size < 100 or not (numbers or categories):
        return None
    rng = np.random.default_rng(seed)
    some = rng.permutation(size)[:ROWS]
    kept = {name: np.asarray(columns[name])[some] for name in (*numbers, *categories)}
    centre, scale = np.zeros(len(numbers)), np.ones(len(numbers))
    # The rows of the reference would not do: usual requests cover them better than the requests of a copying subject.
    spread: dict[str, Array] = {name: np.zeros(PROTOTYPES) for name in numbers}
    for place, name in enumerate(numbers):
        given = np.asarray(kept[name], np.float64)
        given = given[np.isfinite(given)]
        if given.size:
            centre[place], scale[place] = np.median(given), given.std() or 1.0
            low, high = np.quantile(given, RANGE)
            spread[name] = rng.uniform(low, high, PROTOTYPES)
    levels = {name: tuple(sorted({str(value) for value in kept[name]})) for name in categories}
    points = _points(kept, numbers, categories, centre, scale, levels)
    own = _neighbours(points, points, NEIGHBOUR + 1)[0]
    for name in categories:
        spread[name] = rng.choice(np.array(levels[name], dtype=object), PROTOTYPES)
    prototypes = _points(spread, numbers, categories, centre, scale, levels)
    return InputSpace(tuple(numbers), tuple(categories), centre, scale, levels, points, float(np.quantile(own, FAR)), prototypes, own)


def _neighbours(points: Floats, among: Floats, k: int) -> tuple[Floats, Integers]:
    """The distance of each point to its k-th nearest neighbour among other points, and the index of this neighbour.

    All distances are computed, because with tens of columns a search tree is slower than a product of matrices.
    """
    distances, places = np.empty(len(points)), np.empty(len(points), np.int64)
    own = (among**2).sum(axis=1)
    for start in range(0, len(points), CHUNK):
        part = points[start : start + CHUNK]
        squares = (part**2).sum(axis=1)[:, None] + own - 2 * part @ among.T
        nearest = np.argpartition(squares, k - 1, axis=1)[:, k - 1]
        places[start : start + CHUNK] = nearest
        distances[start : start + CHUNK] = np.sqrt(((part - among[nearest]) ** 2).sum(axis=1))
    return np.round(distances, DIGITS), places


def neighbour_distances(space: InputSpace, points: Floats) -> Floats:
    """The distance of each request to its fifth nearest neighbour in the reference."""
    return _neighbours(points, space.points, NEIGHBOUR)[0]


def far_requests(space: InputSpace, points: Floats) -> Bools:
    """A mask of the requests that are farther from the reference than 99 % of the reference's own rows."""
    return np.asarray(neighbour_distances(space, points) > space.far, np.bool_)


def far_by_day(space: InputSpace, rows: "DataFrame") -> tuple[Integers, Integers, Integers]:
    """Three arrays: the days of the requests (numbers since 1970, rising), the number of requests on each day, and how many of them are
    far.

    rows: `at` and the features.
    """
    points = space.encode({name: rows[name].to_numpy() for name in (*space.numbers, *space.categories)})
    days, place = np.unique(rows["at"].to_numpy("datetime64[D]").astype(np.int64), return_inverse=True)
    return days, np.bincount(place), np.bincount(place, weights=far_requests(space, points)).astype(np.int64)


def far_features(space: InputSpace, points: Floats) -> list[tuple[str, float]]:
    """For each feature, its share of the squared distances of far requests to their fifth neighbour, largest first; empty without far
    requests.
    """
    points = points[far_requests(space, points)]
    if not len(points):
        return []
    neighbours = space.points[_neighbours(points, space.points, NEIGHBOUR)[1]]
    squares = ((points - neighbours) ** 2).sum(axis=0)
    widths = [(name, 2) for name in space.numbers] + [(name, len(space.levels[name]) + 1) for name in space.categories]
    parts = np.split(squares, np.cumsum([width for _, width in widths])[:-1])
    shares = [(name, float(part.sum() / squares.sum())) for (name, _), part in zip(widths, parts, strict=True)]
    return sorted(shares, key=lambda each: -each[1])


@dataclass(frozen=True)
class GuardedRequests:
    """The result of the guard for a sample of requests. points: the requests in the input space; distances: of each request to the
    reference. claims: about unusual subjects. named: number of requests that name their subject; judged: the subjects with enough such
    requests. senders: the subjects that sent far requests, most first. lone: the judged subject whose far requests are compared with
    nothing, because others sent fewer than MIN_REQUESTS requests; None if others sent more. margins_known: whether its margins could be
    compared; true also if others sent more, and for a model without a decision boundary.
    """

    space: InputSpace
    points: Floats
    distances: Floats
    claims: tuple[GuardClaim, ...]
    named: int
    judged: frozenset[str]
    senders: tuple[FarSender, ...] = ()
    lone: str | None = None
    margins_known: bool = True

    @property
    def far_count(self) -> int:
        """The number of requests that are farther from the reference than 99 % of the reference's own rows."""
        return int((self.distances > self.space.far).sum())

    @property
    def far(self) -> Interval:
        """The share of far requests, with its interval."""
        return rate_interval(float(self.far_count), float(len(self.distances)))

    @property
    def main_senders(self) -> tuple[FarSender, ...]:
        """The subjects that sent an unusually large share of far requests, if they together sent most far requests; otherwise empty."""
        far, n = self.far_count, len(self.distances)
        often = (each for each in self.senders if each.far >= MIN_FAR and each.far * (n - each.n) > FAR_TIMES * each.n * (far - each.far))
        main = tuple(often)[:MAX_SENDERS]
        return main if sum(each.far for each in main) > MAX_OF_FAR * far else ()


def guard_columns(model: "Model") -> tuple[str, ...]:
    """The references of the request columns that the guard reads: `id`, `subject`, scores and features."""
    scores = [f"score.{place}" for place in range(len(model.classes))] if model.task == "multiclass" else ["score"]
    return tuple(dict.fromkeys(["id", "subject", *scores, *(each.reference for each in model.features())]))


def reference_columns(model: "Model") -> tuple[str, ...]:
    """The columns of the reference that the guard reads: `id`, scores and features."""
    return tuple(name for name in guard_columns(model) if name != "subject")


def guarded_requests(now: "DataFrame", reference: "DataFrame", model: "Model") -> GuardedRequests | None:
    """The result of the guard on a sample of requests; None without requests, or if the reference has fewer than 100 rows.

    now: has the columns of `guard_columns`; reference: has the columns of `reference_columns`.
    """
    import pandas as pd

    now, reference = (rows.sort_values("id", kind="stable", ignore_index=True) for rows in (now, reference))
    numbers = [each.reference for each in model.features() if each.kind == "number"]
    others = [each.reference for each in model.features() if each.kind != "number"]
    columns = {name: now[name].to_numpy() for name in (*numbers, *others)}
    space = input_space({name: reference[name].to_numpy() for name in columns}, numbers, others)
    if space is None or now.empty:
        return None
    points, subjects, ids = space.encode(columns), now["subject"].to_numpy(object), list(map(str, now["id"]))
    cells = pd.util.hash_array(
        np.array([f"{subject}{cell.tobytes()!r}" for subject, cell in zip(subjects, np.floor(points / CELL))], object)
    )
    distances = neighbour_distances(space, points)
    duplicates = np.unique(cells, return_inverse=True)[1]
    far = distances > space.far
    margins, known_margins = (score_margins(model, rows) for rows in (now, reference))
    claims = guard_claims(space, points, far, subjects, ids, margins, duplicates, known_margins)
    named = now["subject"].dropna().astype(str).value_counts()
    judged = frozenset(map(str, named.index[named >= MIN_REQUESTS]))
    sent = now["subject"][far].dropna().astype(str).value_counts()
    senders = [FarSender(str(name), int(hits), int(named[str(name)])) for name, hits in sent.items()]
    senders.sort(key=lambda each: (-each.far, each.subject))
    lone = next((name for name in sorted(judged) if len(now) - int(named[name]) < MIN_REQUESTS), None)
    enough = known_margins is not None and int(np.isfinite(known_margins).sum()) >= MIN_REQUESTS
    margins_known = lone is None or margins is None or enough
    return GuardedRequests(space, points, distances, tuple(claims), int(named.sum()), judged, tuple(senders), lone, margins_known)


def score_margins(model: "Model", rows: "DataFrame") -> Floats | None:
    """The distance of each score from the decision boundary; None for a regression."""
    if model.task == "binary":
        return np.abs(rows["score"].to_numpy(np.float64) - model.settings.threshold)
    if model.task == "multiclass" and len(model.classes) > 1:
        ordered = np.sort(rows[[f"score.{place}" for place in range(len(model.classes))]].to_numpy(np.float64), axis=1)
        return np.asarray(ordered[:, -1] - ordered[:, -2], np.float64)
    return None


def guard_claims(
    space: InputSpace,
    points: Floats,
    far: Bools,
    subjects: Array,
    ids: Sequence[str],
    margins: Floats | None,
    duplicates: Integers,
    known_margins: Floats | None = None,
) -> list[GuardClaim]:
    """The claims about unusual subjects, in the order of the checks.

    far: which requests are far from the reference. subjects: the subject of each request, None if it is not named. margins: distance of
    each score from the decision boundary; None for a model without one. duplicates: a code for each request, which near-identical requests
    of one subject share. known_margins: margins of reference rows.
    """
    known = np.array([subject is not None and subject == subject for subject in subjects], np.bool_)
    names, place = np.unique(np.array([str(subject) for subject in subjects]), return_inverse=True)
    counts = np.bincount(place[known], minlength=len(names))
    judged = [int(k) for k in np.flatnonzero(counts >= MIN_REQUESTS)]
    if not judged:
        return []
    limit = FALSE_ALARM / len(judged)
    cells, known_cells = (_neighbours(rows, space.prototypes, 1)[1] for rows in (points, space.points))
    found: list[GuardClaim] = []
    for k in judged:
        mine, others = known & (place == k), ~(known & (place == k))
        some = tuple(np.array(ids, dtype=object)[mine][:10])
        few, alone = int(others.sum()) < MIN_OTHERS, int(others.sum()) < MIN_REQUESTS
        found += _extraction(str(names[k]), cells[mine], known_cells if few else cells[others], limit, some, few)
        if not alone:  # far requests of the only subject are far requests of the model
            found += _unfamiliar(str(names[k]), far, mine, others, limit, ids)
        usual = known_margins if alone else None if margins is None else margins[others]
        if margins is not None and usual is not None:
            claims = _boundary_search(str(names[k]), margins, duplicates, mine, usual, limit, ids)
            found += [replace(claim, alone=alone) for claim in claims]
    return found


def expected_cells(counts: Integers, drawn: int) -> tuple[float, float]:
    """The expected number of distinct cells among `drawn` requests that are drawn from all requests without replacement, and an upper bound
    of its variance.

    counts: number of all requests in each cell. Cells are negatively associated, so the sum of their individual variances is an upper bound
    of the variance.
    """
    total = int(counts.sum())
    left = total - counts
    possible = left >= drawn
    absent = np.zeros(len(counts))
    spare = left[possible]
    absent[possible] = np.exp(gammaln(spare + 1) - gammaln(spare - drawn + 1) - gammaln(total + 1) + gammaln(total - drawn + 1))
    return float((1 - absent).sum()), float((absent * (1 - absent)).sum())


def _extraction(subject: str, cells: Integers, usual_cells: Integers, limit: float, ids: tuple[str, ...], alone: bool) -> list[GuardClaim]:
    """A claim about a subject whose requests cover more of the input space than the same number of usual requests.

    cells: the cells of the subject's requests. usual_cells: the cells of the other subjects' requests, or of the reference rows (`alone`).
    """
    drawn = min(len(cells), len(usual_cells) // 2)
    if drawn < MIN_REQUESTS:
        return []
    covered = len(np.unique(cells[:drawn]))
    usual, variance = expected_cells(np.bincount(usual_cells, minlength=PROTOTYPES), drawn)
    # Bennett's inequality for a sum of negatively associated indicators.
    beyond, spread = covered - usual, max(variance, 1.0)
    p_value = float(np.exp(-spread * ((1 + beyond / spread) * np.log1p(beyond / spread) - beyond / spread))) if beyond > 0 else 1.0
    evenly = PROTOTYPES * (1 - (1 - 1 / PROTOTYPES) ** drawn)
    if p_value > limit or (alone and beyond < HALFWAY * (evenly - usual)):
        return []
    share = rate_interval(covered, PROTOTYPES)
    return [GuardClaim(subject, "extraction", share, usual / PROTOTYPES, len(cells), p_value, ids, alone=alone)]


def _unfamiliar(subject: str, far: Bools, mine: Bools, others: Bools, limit: float, ids: Sequence[str]) -> list[GuardClaim]:
    """A claim about a subject that has more than 1 % of its requests far from the reference, and a larger share than the other subjects."""
    hits, n = int(far[mine].sum()), int(mine.sum())
    upper = rate_interval(float(far[others].sum()), float(others.sum())).high
    usual = max(float(upper if upper is not None else 1.0), 1 - FAR)
    p_value = float(bdtrc(hits - 1, n, usual)) if hits else 1.0
    if p_value > limit or hits / n < FAR_FACTOR * usual:
        return []
    some = tuple(np.array(ids, dtype=object)[mine & far][:10])
    return [GuardClaim(subject, "unfamiliar", rate_interval(hits, n), usual, n, p_value, some)]


def _boundary_search(
    subject: str, margins: Floats, duplicates: Integers, mine: Bools, usual_margins: Floats, limit: float, ids: Sequence[str]
) -> list[GuardClaim]:
    """A claim about a subject whose near-identical requests lie near the boundary more often than usual requests.

    usual_margins: margins of the other subjects' requests, or of reference rows.
    """
    known = np.isfinite(margins)
    codes, sizes = np.unique(duplicates[mine & known], return_counts=True)
    repeated = mine & known & np.isin(duplicates, codes[sizes >= 3])
    n, usual_margins = int(repeated.sum()), usual_margins[np.isfinite(usual_margins)]
    if n < MIN_DUPLICATES or len(usual_margins) < MIN_REQUESTS:
        return []
    near = float(np.quantile(usual_margins, BOUNDARY))
    hits = int((margins[repeated] <= near).sum())
    upper = rate_interval(float((usual_margins <= near).sum()), float(len(usual_margins))).high
    usual = float(upper if upper is not None else 1.0)
    # Near-identical requests have near-identical margins, so a group counts once.
    groups = np.unique(duplicates[repeated])
    low = sum(float(np.min(margins[repeated & (duplicates == code)])) <= near for code in groups)
    p_value = float(bdtrc(low - 1, len(groups), min(3 * usual, 1.0))) if low else 1.0
    if p_value > limit or hits / n < BOUNDARY_FACTOR * usual:
        return []
    some = tuple(np.array(ids, dtype=object)[repeated & (margins <= near)][:10])
    return [GuardClaim(subject, "boundary", rate_interval(hits, n), usual, n, p_value, some, groups=len(groups))]
