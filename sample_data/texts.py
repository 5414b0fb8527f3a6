"""Features of the sentiment model from a short text, and the service that answers a request.

Features are of two types. Statistics are counted in the text by the rules below: lengths, capitals, punctuation, emoticons. Components are a TF-IDF vector
over the words of the training texts, projected on 20 directions (latent semantic analysis). The vectoriser is fitted once, without labels, and stored in
the model's file.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline

Array = np.ndarray[Any, np.dtype[Any]]
COMPONENTS, DIGITS, MIN_TEXTS, SEED = 20, 3, 12, 13
"""A word counts if at least MIN_TEXTS of the training texts contain it. Components are logged with DIGITS decimals."""
STAND_INS = ("http", "url", "removed", "anonymous")
"""The source replaced links and names by http://url_removed and @anonymous. They are counted as links and mentions, not as words."""
WORD = r"[^\W\d_]+(?:'[^\W\d_]+)?"
PATTERNS = {
    "exclamation_marks": r"!",
    "question_marks": r"\?",
    "ellipses": r"\.\.+|…",
    "positive_emoticons": r"[:;=]-?[)\]D](?!\w)|:-?[pP](?!\w)|<3|\^_\^|\b[xX]D\b",
    "negative_emoticons": r"[:=]'?-?[(\[](?!\w)|(?<!p):-?[/|](?!/)|\bD:|-_-",
    "stretched_words": r"([A-Za-z])\1\1",
    "laughter": r"(?i)\b(?:a?ha(?:ha)+h?|he(?:he)+|lo+l|lmao|rofl)\b",
    "negations": r"(?i)\b(?:not?|never|nothing|nobody|none|cannot|without|[a-z]+n'?t)\b",
    "hashtags": r"#\w",
    "mentions": r"@\w",
    "links": r"http://|bit\.ly/",
    "digits": r"\d",
}
STATISTICS = ("characters", "words", "mean_word_length", "capitals_share", "shouted_words", *PATTERNS)
FEATURES = (*STATISTICS, *(f"component_{place:02}" for place in range(1, COMPONENTS + 1)))
COMPILED = {name: re.compile(pattern) for name, pattern in PATTERNS.items()}


def statistics(text: str) -> dict[str, float | int]:
    """The statistics of one text. capitals_share: share of capitals among its letters. shouted_words: words of at least three letters, all capitals."""
    plain = re.sub(r"http://url_removed|@anonymous", " ", text)
    words, letters = re.findall(WORD, plain), [each for each in plain if each.isalpha()]
    return {
        "characters": len(text),
        "words": len(words),
        "mean_word_length": round(sum(map(len, words)) / max(len(words), 1), 2),
        "capitals_share": round(sum(each.isupper() for each in letters) / max(len(letters), 1), 3),
        "shouted_words": sum(len(each) > 2 and each.isupper() for each in words),
        **{name: len(pattern.findall(text)) for name, pattern in COMPILED.items()},
    }


def fit_vectoriser(texts: list[str]) -> Pipeline:
    """Fit the vectoriser: words and simple emoticons, weighted by TF-IDF and projected on the leading singular vectors of `texts`."""
    vectoriser = Pipeline([
        (
            "tfidf",
            TfidfVectorizer(
                token_pattern=rf"{WORD}|[:;=]-?[)(dp](?!\w)", stop_words=list(STAND_INS), min_df=MIN_TEXTS, sublinear_tf=True, dtype=np.float32
            ),
        ),
        ("svd", TruncatedSVD(COMPONENTS, n_iter=10, random_state=SEED)),
    ])  # fmt: skip
    vectoriser.fit(texts)
    svd = vectoriser.named_steps["svd"]
    svd.components_ = svd.components_.round(4).astype(np.float32)
    return vectoriser


def components(vectoriser: Pipeline, texts: list[str]) -> Array:
    """The components of texts as logged, one row per text."""
    return np.asarray(vectoriser.transform(texts), dtype=float).round(DIGITS) + 0.0


def save(model: Pipeline, vectoriser: Pipeline, path: Path) -> None:
    """Write one skops file: the classifier, whose inputs are FEATURES, with the vectoriser as its attribute `text_vectoriser_`.

    Probabilities for logged features need the classifier only: load the file and call `predict_proba`.
    """
    import zipfile

    import skops.io

    model.text_vectoriser_ = vectoriser
    skops.io.dump(model, path, compression=zipfile.ZIP_DEFLATED, compresslevel=9)


class TextService:
    """The deployed model: returns the features of a text and a probability for each class."""

    def __init__(self, artifact: Path, digits: int) -> None:
        import skops.io

        self.model = skops.io.load(artifact)
        self.digits = digits
        scaler, classifier = (step for _, step in self.model.steps)
        self.mean, self.scale, self.weights, self.intercept = scaler.mean_, scaler.scale_, classifier.coef_.T, classifier.intercept_
        self.classes = [str(each) for each in classifier.classes_]

    def answer(self, text: str) -> tuple[dict[str, Any], dict[str, float]]:
        """Features and score of one text. Same as `predict_proba` without its checks: softmax of the scaled features times the weights."""
        counted = statistics(text)
        (row,) = components(self.model.text_vectoriser_, [text])
        features = dict(zip(FEATURES, (*counted.values(), *row.tolist())))
        raw = (np.array(list(features.values())) - self.mean) / self.scale @ self.weights + self.intercept
        shares = np.exp(raw - raw.max())
        return features, dict(zip(self.classes, (shares / shares.sum()).round(self.digits).tolist()))
