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
request_rate | Request rate | predictions per hour | | Predictions per hour, whatever became of them. | predictions / hours | RED method (Wilkie 2018)
error_rate | Error rate | share | low | Share of predictions that were not answered as they should be: error, timeout, fallback or rejected. | not ok / predictions | RED method (Wilkie 2018)
latency_p50 | Latency p50 | ms | low | Half of the answers took at most this long; errors and rejections are left out, timeouts count. | 50 % quantile, bins within 2 % | DDSketch (Masson, Rim and Lee 2019)
latency_p95 | Latency p95 | ms | low | 95 of 100 answers took at most this long; errors and rejections are left out, timeouts count. | 95 % quantile, bins within 2 % | DDSketch (Masson, Rim and Lee 2019)
latency_p99 | Latency p99 | ms | low | 99 of 100 answers took at most this long; errors and rejections are left out, timeouts count. | 99 % quantile, bins within 2 % | DDSketch (Masson, Rim and Lee 2019)
error_budget_left | Error budget left | share | high | Share that is left of the bad answers that the service level allows in four weeks; negative where there were more. | 1 - share bad / (1 - target) | Google SRE workbook, 2018
burn_rate | Burn rate | times | low | How many times as fast as allowed the error budget is being spent; hours stand for the 5 and 30 minutes of the short windows. | share bad / (1 - target) | Google SRE workbook, 2018
batch_gap_hours | Time between batches | h | low | Hours from one batch of a source to the next; open where the next has not come. | at - at of the one before | Google SRE workbook, data processing
batch_delay_hours | Delay of a batch | h | low | Hours from the last moment that a batch holds to its arrival. | at - captured_to | Google SRE workbook, data processing
batch_rows | Rows of a batch | rows | | Rows that a source delivered in one batch. | count | contract section 1
batch_rejected_rate | Rejected rows of a batch | share | low | Share of the rows of a batch that were rejected. | rejected rows / rows | contract section 1
cleaning_drop_rate | Rows that a rule drops | share | low | Share of the rows that came into a cleaning rule that it dropped. | dropped / rows in | contract section 1
cleaning_change_rate | Rows that a rule changes | share | low | Share of the rows that came into a cleaning rule that it changed. | changed / rows in | contract section 1
cleaning_group_gap | Difference of drop rates | share | low | How much larger a share of its rows a group loses to a cleaning rule than the other groups together. | dropped / in of the group - of the others | Newcombe 1998
dataset_contents | Contents of a dataset version | count | low | Different contents that were logged under one name and version of a dataset. | distinct checksums, else numbers of rows | DVC; lakeFS
label_maturity | Label maturity | share | high | Share of the served predictions whose label is known. | labelled / served | ours
label_agreement | Agreement of annotators (Krippendorff's alpha) | -1 to 1 | high | How far annotators agree beyond chance on the items that several of them labelled; 1 is full agreement, 0 what chance makes. | 1 - observed / expected disagreement | Krippendorff 2011
annotator_agreement | Agreement of one annotator with the others | share | high | Share of an annotator's labels that say what most others say of the same item, where those are of one mind. | agreeing / compared | ours; Fisher's exact test
label_conflicts | Labels that contradict earlier ones | share | low | Share of labels that say otherwise than the same annotator said of the same item before. | contradicting / labels | ours
queue_days | Age of what waits for a label | days | low | Mean age of the items that were given to an annotator who has not labelled them. | mean of (end - given) | ours
label_price | Price of a label | money | | What a label costs at the window's end, from price records. | price in force | contract section 1
gold_accuracy | Accuracy on gold items | share | high | Share of the first answers to items with a known answer (gold) that are right. | right / answers to gold items | Wilson 1927; Fisher's exact test
suggestion_acceptance | Suggestions taken over | share | | Share of answers that say what a machine had suggested, of those that were shown a suggestion. | answers equal to the suggestion / shown | ours
suggestion_accuracy | Accuracy of suggestions by confidence | share | high | Share of the suggestions that reach a confidence which are right by gold, beside the share of all suggestions that reach it (coverage). | right / suggestions of gold items from that confidence on | El-Yaniv and Wiener 2010 (risk and coverage)
wrong_suggestions_taken | Wrong suggestions taken over | share | low | Share of wrong suggestions (by gold) that became the answer of who saw them. | taken / shown and wrong by gold | ours
suggestion_anchoring | Anchoring by suggestions | share | low | How much more often people give a wrong answer when a machine suggests it than others do who label the same items without a suggestion. | P(wrong answer given it is suggested) - P(the same answer, nothing suggested), within items | Mantel and Haenszel 1959; Sato et al. 1989
label_seconds | Time for a label | s | | Median time that one label takes. | median of seconds | statistics
fatigue_slope | Accuracy by hours at work | share per hour | high | How much the accuracy on gold items changes with each hour since the session began, within sessions. | slope of right on hours, session by session | Liang and Zeger 1986
psi | Population stability index | nats | low | How far the distribution moved from the reference, on the reference's deciles; missing is a bin of its own. | Σ (q-p) ln(q/p) | Lewis 1994; Siddiqi 2006
level_trade | Levels that changed places | share | low | Share of all rows by which one level fell and another rose while the others stayed: rows that came under another name, at least. | min(abs(p_fell - q_fell), abs(q_rose - p_rose)) | ours; likelihood ratio, Wilks 1938
jensen_shannon_distance | Jensen-Shannon distance | 0 to 1 | low | Distance of two distributions, base 2, on about 20 bins. | √(½ KL(p‖m) + ½ KL(q‖m)) | Lin 1991
kolmogorov_smirnov | Kolmogorov-Smirnov D | 0 to 1 | low | Largest gap between the two cumulative distributions. | sup abs(F - G) | Kolmogorov 1933; Smirnov 1948
wasserstein | Wasserstein distance | reference sd | low | How far values moved on average, winsorised, in standard deviations of the reference. | W1 / sd | Kantorovich 1942
l_infinity | L-infinity distance | 0 to 1 | low | Largest change in the share of one category. | max abs(p - q) | Vertex AI
near_duplicate_share | Near-identical requests of one subject | share | low | Largest share of all requests that are nearly the same request of one subject. | rows of the largest group of alike requests / rows | ours
default_score_rate | Default score | share | low | Share of predictions with the commonest score; a surge is consistent with a default that is given without asking the model. | rows of the commonest score / rows | ours
clock_skew | Clock skew of a device | s | | How much later after the time they carry the records of a device arrive than those of the others; negative: its clock is ahead. | median (arrived - at) - median of the other devices | ours
distinct_ratio | Distinct values of a device | ratio | high | Distinct values of a feature on a device against as many rows of the others; low means coarse. | found / expected by rarefaction | Hurlbert 1971
rank_shift | Shift in ranks | ranks | | How far the values of a slice moved beyond the rest, as places among the values before, 0 to 1; 0.085 is 0.3 standard deviations of a normal. | mean rank now - before, less that of the rest | Wilcoxon 1945
change_from_inputs | Change from other inputs | as the metric | low | How much of the change of the mean loss comes from inputs that arrive in other shares, the relation as it was. | shared before - before + now - shared now | Cai, Namkoong and Yadlowsky 2023
change_from_relation | Change from another relation | as the metric | low | How much the mean loss differs at equal inputs, on the rows that both sides have: what the same inputs now lead to. | mean now - mean before on the shared distribution | Cai, Namkoong and Yadlowsky 2023
change_from_label_mix | Change from the label mix | as the metric | low | How much of the change of the mean loss other shares of the labels would explain alone; it overlaps with the other two. | Σ (q - p) mean loss of the label | Kitagawa 1955
slices_named | Slices that stand out | count | low | How many slices changed otherwise than the rest, of all that were looked at. | count | ours; Benjamini and Yekutieli 2001
domain_auc | Domain classifier AUC | 0 to 1 | low | How well a classifier tells the window's inputs, all together, from the reference's; 0.5 is not at all. | AUC on held-out rows | Lopez-Paz and Oquab 2017
rank_correlation | Rank correlation | -1 to 1 | | How two numbers go together: 1 where one always rises with the other, 0 where they have nothing to do with each other. | correlation of ranks | Spearman 1904; Bonett and Wright 2000
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
largest_error | Largest error | units of the label | low | Largest error of a single prediction, where it alone is more than half of the errors of all together. | max abs(score - label) | ours
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
attribution_share | Share of attribution | share | | Part of what moves the model's output that comes from the feature. | mean abs(SHAP) of the feature / sum over features | Lundberg and Lee 2017
attribution_distance | Attribution distance | share | low | Part of the attribution that moved from some features to others (total variation distance of the shares). | ½ Σ abs(s - s') | ours; total variation distance
attribution_ndcg | Attribution NDCG | 0 to 1 | high | Whether the features still rank as they did, those at the top weighing more; 1 is the same order. | DCG of the reference's importances in the current order / in their own | Amazon SageMaker Clarify
additivity_residual | Attributions that do not add up | share | low | Share of explained predictions whose base value and attributions miss the output by more than 1 % of their size. | rows with abs(output - base - Σ) > 1 % of (abs(base) + Σ abs) / explained | ours, from Lundberg and Lee 2017 (local accuracy)
artifact_mismatch | Scores that the artifact does not give | share | low | Share of explained predictions for which the registered artifact gives another score than was logged. | rows with another score / explained | ours
energy_per_thousand | Energy per 1,000 predictions | Wh | low | Energy of serving a thousand predictions, with the power usage effectiveness of the building. | 1000 E PUE / N | Green Software Foundation, SCI
sci | Carbon per 1,000 predictions (SCI) | gCO₂e | low | Emissions of serving a thousand predictions, with those of making the hardware where they are known. | ((E I) + M) / R, R = 1,000 predictions | ISO/IEC 21031:2024
idle_share | Idle share of the energy | share | low | Share of the service's energy that was drawn while no prediction was being made. | 1 - energy of predictions / energy of the service | ours
run_energy | Energy of a training run | Wh | low | Energy that a training run drew, with the power usage effectiveness of the building. | Σ P Δt PUE | CodeCarbon
cost_per_thousand | Cost per 1,000 predictions | money | low | What serving a thousand predictions costs. | 1000 C / N | ours
cost_per_correct_decision | Cost per correct decision | money | low | What a decision that was right costs, training and labelling of the window included. | C / (N accuracy) | ours
cost_per_error_avoided | Cost per error avoided | money | low | What it costs to have one error fewer than always deciding for the most frequent class. | C / (errors of the majority decision - errors) | ours
money_lost_per_thousand | Money lost by errors per 1,000 decisions | money | low | What the errors of a thousand labelled decisions cost by the owner's own figures. | 1000 (FP c(FP) + FN c(FN)) / labelled | ours
month_cost | Cost of the month | money | low | What the month will have cost at its end: spent so far, and a forecast for the days to come. | spent + Σ forecast | local level model (Harvey 1989)
ece | Expected calibration error (ECE) | share | low | Mean distance between the mean score and the share that came true, over groups of equal mass; above zero without any fault, so told with its null. | Σ share abs(rate - score) | Naeini, Cooper and Hauskrecht 2015
ecce | Cumulative calibration error (ECCE) | share | low | Largest excess or lack of events over any interval of scores, as a share of all rows; its p-value is that of a model without fault. | max abs(Σ (label - score)) / N over intervals | Arrieta-Ibarra et al. 2022
calibration_slope | Calibration slope | slope | | How much the truth rises where the prediction rises by one: below 1 predictions are too extreme, above 1 too timid. | least squares of truth on prediction | Cox 1958; Miller 1991
estimate_error | Error of the estimate | as the metric | low | What an estimated metric said minus what the labels showed, where labels came in. | estimated - measured | NannyML
best_metric | Best value of a training run | units of the metric | | The best value of the metric by which a run is known: held out where it has one. | best over steps | ours
non_finite_steps | Steps that are not finite | steps | low | Steps at which a metric of a training run was NaN or infinite. | count | SageMaker Debugger, NaN rule
metric_spike | Spike of a metric | units of the metric | low | How far a training metric jumped for the worse within one step, beyond its usual scatter. | peak - level before | robust z of differences (Iglewicz and Hoaglin 1993)
divergence | Divergence | units of the metric | low | How far a training metric ends from its best stretch, where it gave up half of its progress. | mean of the last steps - best mean | ours
plateau_share | Plateau | share | low | Share of a run's steps in which its metric improved no more. | steps since / steps | equivalence test (Schuirmann 1987)
overfitting_gap | Overfitting gap | units of the metric | low | How far a held-out metric got worse since its best, while training went on improving. | mean of the last steps - best mean | early stopping (Prechelt 1998)
straggler_score | Straggler score | ratio | high | The fastest rank's time over this one's, in one phase; below 0.75 it is a straggler. | median of t(fastest) / t(rank) | NVIDIA resiliency extension
failed_runs | Failed run | runs | low | A training run that ended otherwise than finished. | count | contract section 1
run_silence | Silence of a run | s | low | Seconds for which a run without an end has reported nothing. | now - newest record | ours
seed_noise | Noise between seeds | units of the metric | low | How far a metric differs between runs that differ only in seed, fold or rows. | sd between runs | Bouthillier et al. 2021
""")
