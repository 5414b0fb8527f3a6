"""The nearest items equal those of a brute-force search over scikit-learn's words, numbers and levels, and the search is fast for many
items.
"""

import time

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from observability.investigation.item_neighbours import nearest_items

WORDS = "parcel late broken lost refund thanks quick again never driver door rain phone letter box stamp card".split()


def letters(n: int) -> dict[str, dict]:
    rng = np.random.default_rng(5)
    return {
        f"t{place}": {
            "text": " ".join(rng.choice(WORDS, int(rng.integers(6, 14)))),
            "pages": int(rng.integers(1, 30)),
            "office": str(rng.choice(["north", "south"])),
            "photo": f"{place}.png",
        }
        for place in range(n)
    }


def test_the_nearest_items_equal_those_of_scikit_learn_and_of_a_plain_loop() -> None:
    contents = letters(60)
    contents["t9"]["pages"] = None
    words = TfidfVectorizer(token_pattern=r"\w+").fit_transform([each["text"] for each in contents.values()])
    cosine = (words @ words.T).toarray()
    pages = [each["pages"] for each in contents.values() if each["pages"] is not None]
    names = list(contents)
    for item in ("t0", "t31"):
        own, by_hand = contents[item], {}
        for place, (name, each) in enumerate(contents.items()):
            near = 0.0 if each["pages"] is None else 1 - abs(each["pages"] - own["pages"]) / (max(pages) - min(pages))
            by_hand[name] = (cosine[names.index(item), place] + near + (each["office"] == own["office"])) / 3
        del by_hand[item]
        best = sorted(by_hand, key=by_hand.__getitem__, reverse=True)[:5]
        found = nearest_items(contents, item)
        assert [each.item for each in found] == best
        assert [each.similarity for each in found] == pytest.approx([by_hand[name] for name in best])


def test_items_without_common_content_have_no_neighbours() -> None:
    assert nearest_items({"a": {"text": "only this"}, "b": {"text": "another thing"}}, "a") == []
    assert nearest_items({"a": {"text": "alone here"}}, "a") == [] == nearest_items({"a": {"photo": "a.png"}, "b": {"photo": "a.png"}}, "a")
    assert [each.similarity for each in nearest_items({"a": {"pages": 3}, "b": {"pages": 3}, "c": {"pages": "3"}}, "a")] == [1.0]


def test_the_neighbours_among_ten_thousand_items_take_less_than_a_second_of_the_processor() -> None:
    contents = letters(10_000)
    began = time.process_time()
    assert len(nearest_items(contents, "t7")) == 5
    assert time.process_time() - began < 1.0
