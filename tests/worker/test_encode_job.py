"""A sentence encoder on disk turns texts into vectors. Word order and choice of synonyms do not matter, padding has no effect, and errors
name wrong files.
"""

from pathlib import Path

import numpy as np
import pytest

from observability.core.errors import UsageError
from observability.probing.sentence_encoder import find_encoder
from observability.stats.text_similarity import mean_pooled, text_similarities, unrelated_cosine
from observability.worker.process import warm_worker
from observability.worker.requests import encode_texts
from tests.support.tiny_encoder import write_encoder

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def cosines(encoder: Path, *texts: str) -> np.ndarray:
    vectors = encode_texts(warm_worker(), find_encoder(encoder), texts)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)
    return vectors @ vectors.T


def test_paraphrases_are_closer_than_by_hashing(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    pairs = ("The parcel arrives tomorrow", "tomorrow the parcel arrives", "A package comes soon", "sorry, lost")
    by_encoder, by_hashing = cosines(write_encoder(tmp_path / "tiny"), *pairs), text_similarities(pairs)
    assert by_encoder[0, 1] == pytest.approx(1) and by_encoder[0, 2] == pytest.approx(1)
    assert by_encoder[0, 1] > by_hashing[0, 1] and by_encoder[0, 2] > by_hashing[0, 2] + 0.5
    assert by_encoder[0, 3] < 0.7, "another meaning gives another vector"
    alone = cosines(tmp_path / "tiny", pairs[3], "parcel " * 40)
    assert alone[0, 0] == pytest.approx(1) and cosines(tmp_path / "tiny", *pairs, "parcel " * 40)[3, 4] == pytest.approx(alone[0, 1])
    pooled = cosines(write_encoder(tmp_path / "pooled", tokens=False), *pairs[:3])
    assert pooled[0, 2] == pytest.approx(1), "a model that pools its tokens itself is used unchanged"


def test_the_mean_is_over_tokens_that_count_and_the_common_part_is_that_of_different_texts() -> None:
    tokens = np.array([[[1.0, 3.0], [3.0, 5.0], [90.0, 90.0]], [[2.0, 0.0], [9.0, 9.0], [9.0, 9.0]]])
    assert mean_pooled(tokens, [[1, 1, 0], [1, 0, 0]]).tolist() == [[2.0, 4.0], [2.0, 0.0]]
    alike = np.array([[1.0, 0.0], [0.6, 0.8], [1.0, 0.0]])
    assert unrelated_cosine([alike[:2]]) == pytest.approx(0.6) and unrelated_cosine([alike[[0, 2]]]) == 0.95
    assert unrelated_cosine([alike[:1]]) == unrelated_cosine([]) == 0.0


def test_two_encoders_never_have_one_name(tmp_path: Path) -> None:
    one, other = (find_encoder(write_encoder(tmp_path / str(seed) / "tiny", seed=seed)) for seed in (1, 2))
    assert one.name.startswith("tiny ") and one.name != other.name
    (nested := tmp_path / "nested" / "onnx").mkdir(parents=True)
    (tmp_path / "1" / "tiny" / "model.onnx").rename(nested / "model.onnx")
    (tmp_path / "1" / "tiny" / "tokenizer.json").rename(nested.parent / "tokenizer.json")
    assert find_encoder(nested.parent) == find_encoder(nested / "model.onnx"), "the layout of folders on the hub"


def test_a_path_without_an_encoder_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist") as found:
        find_encoder(tmp_path / "nowhere")
    assert "model.onnx" in str(found.value.expected) and found.value.attempt == "Check the path" and found.value.where == "nowhere"
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(UsageError, match="not complete") as found:
        find_encoder(tmp_path)
    assert found.value.got == "no tokenizer.json" and "Export" in str(found.value.attempt)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UsageError) as found:
        encode_texts(warm_worker(), find_encoder(tmp_path), ["a"])
    assert found.value.where == "tokenizer.json" or "tokenizers" in str(found.value)
