"""With very many features, analyzers of single rows compare only the most important ones."""

from dataclasses import replace

from observability.core.analyzer import MOST_INPUTS, Context
from observability.core.catalog import Model, Version
from observability.core.settings import ModelSettings
from observability.core.window import EPOCH, Window

CONTEXT = Context(Model(1, "loan"), Version("1"), Window("loan", EPOCH, EPOCH), EPOCH)
NAMES = tuple(f"f{place}" for place in range(MOST_INPUTS + 50))


def test_few_inputs_are_all_compared() -> None:
    assert CONTEXT.most_important(NAMES[:MOST_INPUTS]) == NAMES[:MOST_INPUTS]


def test_the_most_important_are_chosen_and_keep_their_order() -> None:
    assert CONTEXT.most_important(NAMES) == NAMES[:MOST_INPUTS]
    late = dict.fromkeys(NAMES[-20:], 0.5)
    settled = replace(CONTEXT, model=replace(CONTEXT.model, settings=ModelSettings(importance=late)))
    assert settled.most_important(NAMES) == NAMES[: MOST_INPUTS - 20] + NAMES[-20:]
