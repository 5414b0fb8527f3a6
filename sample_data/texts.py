"""How does a short text become the numbers that the sentiment model takes, and what answers a request with it?

Two parts. Statistics are counted from the text by the rules below: how long, how loud, which signs. Components are what is left of its words: a
TF-IDF vector over the words of the training texts, projected on 20 directions (latent semantic analysis). The vectoriser that does that is fitted
once, without any rating, and lies inside the model's own file.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline

Array = np.ndarray[Any, np.dtype[Any]]
COMPONENTS, DIGITS, FEWEST_TEXTS, SEED = 20, 3, 12, 13
"""A word counts where at least FEWEST_TEXTS of the training texts hold it. Components are logged with DIGITS decimals."""
STAND_INS = ("http", "url", "removed", "anonymous")
"""The source put http://url_removed and @anonymous where links and names had been: these are counted, and are no words."""
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
    """What is counted of one text. capitals_share: of its letters. shouted_words: of three letters and more, all capitals."""
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
    """From a text to its components: words and simple emoticons, weighted by TF-IDF, projected on the strongest directions of `texts`."""
    vectoriser = Pipeline([
        (
            "tfidf",
            TfidfVectorizer(
                token_pattern=rf"{WORD}|[:;=]-?[)(dp](?!\w)", stop_words=list(STAND_INS), min_df=FEWEST_TEXTS, sublinear_tf=True, dtype=np.float32
            ),
        ),
        ("svd", TruncatedSVD(COMPONENTS, n_iter=10, random_state=SEED)),
    ])  # fmt: skip
    vectoriser.fit(texts)
    svd = vectoriser.named_steps["svd"]
    svd.components_ = svd.components_.round(4).astype(np.float32)
    return vectoriser


def components(vectoriser: Pipeline, texts: list[str]) -> Array:
    """The components of texts as they are logged, one row a text."""
    return np.asarray(vectoriser.transform(texts), dtype=float).round(DIGITS) + 0.0


def save(model: Pipeline, vectoriser: Pipeline, path: Path) -> None:
    """One skops file: the classifier, which takes FEATURES by name, and as its attribute `text_vectoriser_` what turns a text into components.

    Whoever wants probabilities for logged features needs the classifier only: load the file and call `predict_proba`.
    """
    import zipfile

    import skops.io

    model.text_vectoriser_ = vectoriser
    skops.io.dump(model, path, compression=zipfile.ZIP_DEFLATED, compresslevel=9)


class TextService:
    """The model behind a call: a text in; its features and a probability for each class out."""

    def __init__(self, artifact: Path, digits: int) -> None:
        import skops.io

        self.model = skops.io.load(artifact)
        self.digits = digits
        scaler, classifier = (step for _, step in self.model.steps)
        self.mean, self.scale, self.weights, self.intercept = scaler.mean_, scaler.scale_, classifier.coef_.T, classifier.intercept_
        self.classes = [str(each) for each in classifier.classes_]

    def answer(self, text: str) -> tuple[dict[str, Any], dict[str, float]]:
        """Features and score of one text. The scaled features times the weights, and softmax: what `predict_proba` does, without its checks."""
        counted = statistics(text)
        (row,) = components(self.model.text_vectoriser_, [text])
        features = dict(zip(FEATURES, (*counted.values(), *row.tolist())))
        raw = (np.array(list(features.values())) - self.mean) / self.scale @ self.weights + self.intercept
        shares = np.exp(raw - raw.max())
        return features, dict(zip(self.classes, (shares / shares.sum()).round(self.digits).tolist()))
