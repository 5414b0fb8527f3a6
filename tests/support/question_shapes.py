"""Every form of aggregate about the models of engine_world, over windows that a seed chooses. The tests of each engine ask for them."""

import itertools
from datetime import timedelta

from observability.core.questions import Aggregate, Bucket, By
from observability.core.window import Slice, Window
from tests.support.engine_world import HOSTILE, START

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SPANS = {
    "whole days": (START, START + 5 * DAY),
    "two days": (START + DAY, START + 3 * DAY),
    "whole hours": (START + 7 * HOUR, START + 2 * DAY + 5 * HOUR),
    "ragged": (START + 9 * HOUR + timedelta(minutes=1), START + 4 * DAY + timedelta(microseconds=1)),
    "one hour": (START + 25 * HOUR, START + 26 * HOUR),
    "inside an hour": (START + timedelta(minutes=5), START + timedelta(minutes=40)),
    "no time": (START + 2 * DAY, START + 2 * DAY),
    "before all": (START - 9 * DAY, START - 8 * DAY),
}
AS_OF = (None, START + 2 * DAY, START + 50 * HOUR, START + 2 * DAY + timedelta(minutes=13), START + 90 * DAY)
KEYS = {
    "loan": [
        (),
        (Bucket("day"),),
        (Bucket("hour"),),
        (By("version"),),
        (By("decision"), By("label")),
        (Bucket("day"), By("label"), By("score_bin")),
        (By("status"),),
        (By("feature.sex"),),
        (By("group.race"), By("label")),
        (By("replica"),),
        (By("device"), Bucket("day")),
        (By("batch"),),
        (By("currency"), By("version")),
        (By("feature.income"),),
        (By("feature.vip"), By("version")),
        (By("score_bin"), By("feature.sex")),
        (By("replica"), By("status"), Bucket("day")),
        (By("device"), By("version")),
        (By("band.income"), By("decision"), By("label")),
        (Bucket("day"), By("band.income"), By("feature.sex"), By("group.race")),
    ],
    "eta": [(), (Bucket("day"),), (By("label"),), (By("version"), Bucket("hour")), (By("status"),), (By("device"),)],
    "kind": [(), (Bucket("day"), By("label")), (By("decision"), By("label")), (By("replica"),), (By("score_bin"),)],
    "stray": [(), (By("label"),), (Bucket("hour"),), (By("score_bin"),)],
}
HISTOGRAMS = {
    "loan": [
        ("feature.income", "feature.city", "feature.vip", f"feature.{HOSTILE}"),
        ("score",),
        ("latency_ms",),
        ("group.race", "feature.sex", "feature.score", "score"),
    ],
    "eta": [("feature.miles", "feature.carrier", "score"), ("error",), ("error", "feature.wind", "latency_ms")],
    "kind": [("score", "score.0", "score.2"), ("feature.x", "score.1")],
    "stray": [("feature.x", "feature.colour"), ("score",)],
}
SUMS = {
    "loan": [("log_loss", "brier", "correct"), ("feature.income", "score", "latency_ms", "energy_j", "cost"), ("label_value",)],
    "eta": [("error", "absolute_error", "squared_error", "label_value"), ("feature.miles", "feature.wind", "score")],
    "kind": [("log_loss", "brier", "correct", "score"), ("feature.x", "score.1")],
    "stray": [("feature.x", "score")],
}
SLICES = {
    "loan": [
        "sex=F",
        "sex=null",
        "vip=true",
        "race=B",
        "race=null",
        "device=d1",
        "replica=null",
        "status=ok",
        "version=1",
        "income=0",
        "income=NaN",
        "sex=F&device=d2",
        "city=a%26b%3Dc",
        "sex=M&version=2",
        "sex=nobody",
    ],
    "eta": ["device=d2", "carrier=UA", "miles=null"],
    "kind": ["replica=r1", "x=nope"],
    "stray": ["colour=red"],
}
VERSIONS = {"loan": (None, "1", "2", "3"), "eta": (None, "1"), "kind": (None, "1"), "stray": (None, "9")}
ENVIRONMENTS = ("production", "production", "production", "reference", "shadow", "validation")
CORRECTED = ("error", "absolute_error", "squared_error", "label_value", "log_loss", "brier", "correct")


def shapes(model):
    """All combinations for a model: every table and set of keys, each without a measure, with a histogram or with sums."""
    items = [{}] + [{"histogram": each} for each in HISTOGRAMS[model]] + [{"sums": each} for each in SUMS[model]]
    yield from (Aggregate(table, keys=keys, **each) for table in ("predictions", "outcomes") for keys in KEYS[model] for each in items)


def windows(model, random_):
    """An endless sequence of windows: the spans in turn, everything else at random."""
    for start, end in itertools.cycle(SPANS.values()):
        text = random_.choice([None, None, *SLICES[model]])
        yield Window(
            model, start, end, random_.choice(VERSIONS[model]), Slice.parse(text), random_.choice(AS_OF), random_.choice(ENVIRONMENTS)
        )
