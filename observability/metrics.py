"""What is each metric called, in which unit, what does it mean, and where does it come from?"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One metric. better: "high", "low" or None where neither is better. meaning: one plain sentence. source: paper, standard or library."""

    name: str
    title: str
    unit: str
    better: str | None
    meaning: str
    formula: str
    source: str


def table(rows: str) -> dict[str, Metric]:
    """Metrics from lines of `name | title | unit | better | meaning | formula | source`."""
    metrics = {}
    for line in filter(None, map(str.strip, rows.splitlines())):
        name, title, unit, better, meaning, formula, source = (part.strip() for part in line.split("|"))
        metrics[name] = Metric(name, title, unit, better or None, meaning, formula, source)
    return metrics


METRICS = table("""
null_rate | Null rate | share | low | Share of predictions in which the feature was null. | nulls / predictions | TFDV (Breck et al. 2019)
nan_rate | NaN rate | share | low | Share in which the feature was not a number. | NaNs / predictions | TFDV (Breck et al. 2019)
absent_rate | Absent rate | share | low | Share of predictions that did not carry the feature at all. | absent / predictions | TFDV (Breck et al. 2019)
wrong_type_rate | Wrong type rate | share | low | Share in which the feature had another type than the reference's. | wrong / predictions | TFDV (Breck et al. 2019)
unseen_rate | Unseen category rate | share | low | Share in which the category does not occur in the reference. | unseen / predictions | TFDV (Breck et al. 2019)
out_of_range_rate | Out of range rate | share | low | Share of values below the reference's minimum or above its maximum. | outside / values | Deequ (Schelter et al. 2018)
constant | Constant feature | share | low | Share of the most frequent bin, where the reference varies. | largest bin / values | Deequ (Schelter et al. 2018)
stuck_hours | Stuck value | h | low | Longest run of hours in which the feature kept one bin though it varies in the reference. | longest run | TFDV (Breck et al. 2019)
unknown_columns | Unknown columns | count | low | Features that arrive and are not in the reference. | count | TFDV (Breck et al. 2019)
duplicate_rate | Duplicate rate | share | low | Share of lines that repeat a prediction that was already stored. | duplicates / lines | Deequ (Schelter et al. 2018)
rejected_rate | Rejected rate | share | low | Share of lines that broke a rule of the contract. | rejected / lines | contract section 1
judged | Judged | share | high | Whether this could be judged at all. | judged or not | ours
volume | Volume | predictions | | Predictions that arrived, against what was expected at these hours of the week. | count | Poisson or negative binomial against the own past
freshness_hours | Freshness | h | low | Hours since the newest prediction. | now - newest | Google SRE workbook, data processing
silence_hours | Silence | h | low | Longest gap without predictions where some were expected. | longest gap | Google SRE workbook, data processing
label_maturity | Label maturity | share | high | Share of the served predictions whose label is known. | labelled / served | ours
psi | Population stability index | nats | low | How far the distribution moved from the reference, on the reference's deciles; missing is a bin of its own. | Σ (q-p) ln(q/p) | Lewis 1994; Siddiqi 2006
jensen_shannon_distance | Jensen-Shannon distance | 0 to 1 | low | Distance of two distributions, base 2, on about 20 bins. | √(½ KL(p‖m) + ½ KL(q‖m)) | Lin 1991
kolmogorov_smirnov | Kolmogorov-Smirnov D | 0 to 1 | low | Largest gap between the two cumulative distributions. | sup abs(F - G) | Kolmogorov 1933; Smirnov 1948
wasserstein | Wasserstein distance | reference sd | low | How far values moved on average, winsorised, in standard deviations of the reference. | W1 / sd | Kantorovich 1942
l_infinity | L-infinity distance | 0 to 1 | low | Largest change in the share of one category. | max abs(p - q) | Vertex AI
accuracy | Accuracy | share | high | Share of decisions that were right. | right / labelled | scikit-learn
precision | Precision | share | high | Share of positive decisions that were right. | TP / (TP + FP) | scikit-learn
recall | Recall | share | high | Share of positives that were found. | TP / (TP + FN) | scikit-learn
f1 | F1 | 0 to 1 | high | Harmonic mean of precision and recall. | 2PR / (P + R) | scikit-learn
roc_auc | ROC AUC | 0 to 1 | high | Chance that a positive scores higher than a negative. | area under TPR over FPR | Hanley and McNeil 1982
pr_auc | PR AUC (average precision) | 0 to 1 | high | Precision averaged over the recalls. | Σ (Rn - Rn-1) Pn | scikit-learn
log_loss | Log loss | nats | low | Penalty for confident wrong probabilities. | mean of -ln p(label) | scikit-learn
brier | Brier score | 0 to 1 | low | Mean squared error of the probability. | mean of (p - y)² | Brier 1950
mae | Mean absolute error | units of the label | low | How far predictions are off on average. | mean of abs(e) | scikit-learn
rmse | Root mean squared error | units of the label | low | How far they are off, large misses weighing more. | √ mean of e² | scikit-learn
bias | Bias | units of the label | | Whether predictions are too high (positive) or too low on average. | mean of (prediction - label) | statistics
r2 | R² | up to 1 | high | Share of the label's variance that the predictions explain. | 1 - Σe² / Σ(y - ȳ)² | scikit-learn
selection_rate | Selection rate | share | | Share of decisions that are positive. | positive / decided | fairlearn
true_positive_rate | True positive rate | share | high | Share of a group's positives that were found (recall). | TP / (TP + FN) | fairlearn
false_positive_rate | False positive rate | share | low | Share of a group's negatives that were taken for positive. | FP / (FP + TN) | fairlearn
demographic_parity_difference | Demographic parity difference | share | low | Largest gap between the selection rates of groups; 0 is equal. | max selection rate - min selection rate | fairlearn
demographic_parity_ratio | Demographic parity ratio (disparate impact) | ratio | high | Lowest selection rate over the highest; the four-fifths rule asks for 0.8. | min selection rate / max selection rate | EEOC, 29 CFR 1607.4(D)
equalized_odds_difference | Equalized odds difference | share | low | The larger of the gaps between groups in true and in false positive rate. | max(TPR gap, FPR gap) | Hardt, Price and Srebro 2016
equal_opportunity_difference | Equal opportunity difference | share | low | Largest gap between the true positive rates of groups. | max TPR - min TPR | Hardt, Price and Srebro 2016
predictive_parity_difference | Predictive parity difference | share | low | Largest gap between the precisions of groups. | max precision - min precision | Chouldechova 2017
group_accuracy_difference | Accuracy difference between groups | share | low | Largest gap between the accuracies of groups. | max accuracy - min accuracy | fairlearn
group_mae_difference | MAE difference between groups | units of the label | low | Largest gap between the mean absolute errors of groups. | max MAE - min MAE | fairlearn
""")
