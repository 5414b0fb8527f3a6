"""Attributions of LightGBM models, computed by LightGBM itself."""

import lightgbm
import numpy as np
import pandas as pd

from tests.support import raw_rows


def lightgbm_contributions(model: str, rows: pd.DataFrame) -> pd.DataFrame:
    """The exact attributions that LightGBM itself computes for a model of the sample data."""
    booster = lightgbm.Booster(model_file=str(raw_rows.SAMPLE / f"{model}.lightgbm.txt"))
    levels = iter(booster.pandas_categorical)
    inputs = rows[booster.feature_name()].copy()
    for name in booster.feature_name():
        if pd.api.types.is_numeric_dtype(inputs[name]):
            inputs[name] = inputs[name].astype(float)
        else:
            known = next(levels)
            inputs[name] = pd.Categorical(inputs[name].astype(object).where(inputs[name].isin(known)), known)
    return pd.DataFrame(np.asarray(booster.predict(inputs, pred_contrib=True))[:, :-1], columns=booster.feature_name())
