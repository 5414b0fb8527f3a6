"""Cache the bin plans (look-up tables) of edges."""

from functools import lru_cache

from observability.stats.binning import BinPlan, bin_plan
from observability.stats.quantile import LOG_EDGES
from observability.stats.scores import SCORE_EDGES


@lru_cache(maxsize=4096)
def cached_bin_plan(edges: tuple[float, ...]) -> BinPlan:
    """The look-up table over edges, cached."""
    return bin_plan(edges)


SCORE_PLAN, LATENCY_PLAN = bin_plan(SCORE_EDGES), bin_plan(LOG_EDGES)
