"""A sentence encoder for a few words that a test can make itself: a tokenizer, and a table of word vectors in ONNX, where synonyms have the
same vector.
"""

import json
from pathlib import Path

import numpy as np

SYNONYMS = (("parcel", "package"), ("arrives", "comes"), ("tomorrow", "soon"), ("the", "a"), ("lost",), ("refund",), ("sorry",), ("paid",))
"""Groups of words that mean the same."""
WORDS = tuple(word for group in SYNONYMS for word in group)


def write_encoder(folder: Path, *, seed: int = 0, tokens: bool = True) -> Path:
    """Write the encoder's files, and return their folder. tokens: whether it returns one vector per token; otherwise it returns one for the
    whole text. Unknown words and padding have their own vectors.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir(parents=True, exist_ok=True)
    rng, size = np.random.default_rng(seed), 16
    meanings = rng.normal(size=(len(SYNONYMS) + 2, size))
    meaning_of = [place + 2 for place, group in enumerate(SYNONYMS) for _ in group]
    table = np.vstack([meanings[0], meanings[1], meanings[meaning_of]]).astype(np.float32)
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])]
    shape: list = ["texts", "tokens", size]
    output = "last_hidden_state"
    if not tokens:
        nodes.append(helper.make_node("ReduceMean", [output, "axes"], ["sentence_embedding"], keepdims=0))
        output, shape = "sentence_embedding", ["texts", size]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in ("input_ids", "attention_mask")]
    held = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1], np.int64), "axes")]
    graph = helper.make_graph(nodes, "encoder", inputs, [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)], held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(folder / "model.onnx"))
    vocabulary = {"[PAD]": 0, "[UNK]": 1, **{word: place + 2 for place, word in enumerate(WORDS)}}
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    return folder
