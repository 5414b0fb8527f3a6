"""Definitions of all metrics: name, title, unit, direction, meaning, formula and source."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One metric. better: "high", "low", or None if neither direction is better. meaning: one sentence. source: paper, standard or
    library.
    """

    name: str
    title: str
    unit: str
    better: str | None
    meaning: str
    formula: str
    source: str


LABEL_UNIT = "units of the label"
"""Placeholder for the unit of a regression's label, in which some metrics are measured."""


def parse_metrics(rows: str) -> dict[str, Metric]:
    """Parse metrics from rows of `name | title | unit | better | meaning | formula | source`; an indented line continues its row."""
    metrics = {}
    for row in rows.strip().replace("\n  ", " ").splitlines():
        name, title, unit, better, meaning, formula, source = (part.strip() for part in row.split("|"))
        metrics[name] = Metric(name, title, unit, better or None, meaning, formula, source)
    return metrics


METRICS = parse_metrics("""
null_rate | Null rate | share | low | Share of predictions with a null in the feature. | nulls / predictions | TFDV (Breck et al. 2019)
nan_rate | NaN rate | share | low | Share of predictions with NaN in the feature. | NaNs / predictions | TFDV (Breck et al. 2019)
absent_rate | Absent rate | share | low | Share of predictions without the feature. | absent / predictions | TFDV (Breck et al. 2019)
wrong_type_rate | Wrong type rate | share | low | Share of predictions whose value has another type than in the reference. | wrong /
  predictions | TFDV (Breck et al. 2019)
unseen_rate | Unseen category rate | share | low | Share of predictions with a category that does not occur in the reference. | unseen /
  predictions | TFDV (Breck et al. 2019)
out_of_range_rate | Out of range rate | share | low | Share of values below the reference's minimum or above its maximum. | outside /
  values | Deequ (Schelter et al. 2018)
constant | Constant feature | share | low | Share of the most frequent bin of a feature that varies in the reference. | largest bin /
  values | Deequ (Schelter et al. 2018)
stuck_hours | Stuck value | h | low | Longest run of hours in which a feature that varies in the reference stayed in one bin. | longest
  run | TFDV (Breck et al. 2019)
unknown_columns | Unknown columns | count | low | Features that are not in the reference. | count | TFDV (Breck et al. 2019)
duplicate_rate | Duplicate rate | share | low | Share of lines that repeat a stored prediction. | duplicates / lines | Deequ (Schelter et
  al. 2018)
rejected_rate | Rejected rate | share | low | Share of lines that violate the record contract. | rejected / lines | contract section 1
judged | Evaluated | share | high | Whether the check could be evaluated. | evaluated or not | ours
volume | Volume | predictions | | Predictions that arrived, compared with the expectation for these hours of the week. | count | Poisson
  or negative binomial model of the model's own past
freshness_hours | Freshness | h | low | Hours since the newest prediction. | now - newest | Google SRE workbook, data processing
silence_hours | Silence | h | low | Longest gap without predictions where some were expected. | longest gap | Google SRE workbook, data
  processing
request_rate | Request rate | predictions per hour | | Predictions per hour, whatever their status. | predictions / hours | RED method
  (Wilkie 2018)
error_rate | Error rate | share | low | Share of predictions with status error, timeout, fallback or rejected. | not ok / predictions |
  RED method (Wilkie 2018)
latency_p50 | Latency p50 | ms | low | Median latency; errors and rejections are excluded, timeouts are included. | smallest
  latency that 50 % of responses do not exceed, not interpolated; within 2 %, from bins | DDSketch (Masson, Rim and Lee 2019)
latency_p95 | Latency p95 | ms | low | 95th percentile of latency; errors and rejections are excluded, timeouts are included. | smallest
  latency that 95 % of responses do not exceed, not interpolated; within 2 %, from bins | DDSketch (Masson, Rim and Lee 2019)
latency_p99 | Latency p99 | ms | low | 99th percentile of latency; errors and rejections are excluded, timeouts are included. | smallest
  latency that 99 % of responses do not exceed, not interpolated; within 2 %, from bins | DDSketch (Masson, Rim and Lee 2019)
latency_increase | Smallest increase of latency that matters | ms | low | Smallest rise of a latency percentile, over the past or over
  other replicas, that is reported; a smaller rise is not reported, even where the latency has multiplied. | now - before | ours
error_rate_level | Highest acceptable error rate | share | low | Error rate from which too many requests fail, whatever the baseline;
  half of it is a warning. | not ok / predictions | ours
error_budget_left | Remaining error budget | share | high | Remaining share of the service level's error budget of four weeks; negative
  where it is exceeded. | 1 - share bad / (1 - target) | Google SRE workbook, 2018
burn_rate | Burn rate | times | low | Consumption of the error budget relative to the rate that uses it up exactly; hours replace the 5
  and 30 minutes of the short windows. | share bad / (1 - target) | Google SRE workbook, 2018
missing_key_rate | Missing rows of a batch | share | low | Share of the expected keys (or rows) of a batch of predictions that were not
  delivered. | missing / expected | Great Expectations; ours
duplicate_key_rate | Duplicate keys of a batch | share | low | Share of the rows of a batch of predictions whose key another row has. |
  repeated / rows | Deequ (Schelter et al. 2018)
batch_late_hours | Lateness of a batch | h | low | Hours from the time at which a batch of predictions was due to the arrival of its last
  row; 0 where it came in time. | last arrival - due | Google SRE workbook, data processing
batch_default_rate | Default scores of a batch | share | low | Share of a batch's rows with its most frequent score, where earlier batches
  did not have that score as often. | most frequent score / rows | ours
batch_score_drift | Score drift of a batch | PSI | low | Population stability index of the scores of a batch against the batches before
  it, of all rows or of a slice. | Σ (p - q) ln(p / q) | Siddiqi (2006)
batch_gap_hours | Time between batches | h | low | Hours from one batch of a source to the next; hours so far if the next batch has not
  arrived. | at - at of the one before | Google SRE workbook, data processing
batch_delay_hours | Batch delay | h | low | Hours from the end of a batch's capture period to its arrival. | at - captured_to | Google SRE
  workbook, data processing
batch_rows | Batch rows | rows | | Rows that a source delivered in one batch. | count | contract section 1
batch_delay_p95_hours | Batch delay, 95 % quantile | h | low | Hours from the end of capture to arrival that 5 % of the batches of a
  device exceed. | 95 % quantile | Google SRE
batch_rejected_rate | Batch rejection rate | share | low | Share of a batch's rows that were rejected. | rejected rows / rows | contract
  section 1
batch_mean | Mean of a column | as the column | | Mean of a column in one batch of a device, in the column's unit. | mean of values |
  contract section 1
batch_std | Spread of a column | as the column | | Standard deviation of a column in one batch of a device, in the column's unit; 0 where
  every value is the same. | sample standard deviation | contract section 1
batch_null_share | Missing values of a column | share | low | Share of a batch's rows without a value in a column. | nulls / rows | TFDV
  (Breck et al. 2019)
batch_stuck_share | Stuck values of a column | share | low | Share of a batch's values that repeat the value before them at least four
  times in a row. | values in runs of five or more / values | ours
batch_saturated_share | Saturated values of a column | share | low | Share of a batch's values at the end of the column's range. | values
  at the lowest or highest possible value / values | ours
batch_out_of_range_share | Values out of range | share | low | Share of a batch's values outside the range that the column may have. |
  values below or above the stated range / values | TFDV (Breck et al. 2019)
batch_clock_skew | Clock of a collecting device | s | low | Seconds by which the capture of a batch ends after the batch arrived; above
  0 the device's clock is ahead. | captured_to - at | ours
cleaning_drop_rate | Cleaning drop rate | share | low | Share of a cleaning rule's input rows that it dropped. | dropped / rows in |
  contract section 1
cleaning_change_rate | Cleaning change rate | share | low | Share of a cleaning rule's input rows that it changed. | changed / rows in |
  contract section 1
cleaning_group_gap | Drop rate difference | share | low | Drop rate of a group minus that of the other groups together, for one cleaning
  rule. | dropped / in of the group - of the others | Newcombe 1998
audited_overlap | Held-out rows in the training data | share | low | Share of the held-out rows of a dataset whose features are those of a
  training row. | held-out rows with a training row's features / held-out rows | ours
audited_leak | Label given by one column | share | low | How well the best single column predicts the label: 0 is chance, 1 is perfect
  (with two classes 2 AUC - 1). | (metric - chance) / (perfect - chance) | ours
audited_conflicts | Conflicting labels | share | low | Share of the rows of a dataset that have the features of a row with another label. |
  such rows / rows | ours
audited_duplicates | Duplicate rows | share | low | Share of the rows of a dataset that equal an earlier row, label included. | such rows /
  rows | ours
audited_suspects | Suspect labels | share | low | Share of the rows whose label a model that was not fitted on them contradicts with
  confidence. | suspect rows / rows | Northcutt et al. 2021
form_flip_rate | Changed decisions of a form | share | low | Share of rows that a form of a model decides differently from the registered
  model; for regression, answers that differ by more than 5 % of their standard deviation. | changed / rows | Hooker et al. 2020
form_slice_gap | Changed decisions in a slice | share | low | Share of decisions that a form changes in a slice minus that in the other
  rows. | changed / rows of the slice - of the others | Newcombe 1998; Hooker et al. 2020
form_unstable_rate | Unstable decisions of a form | share | low | Share of rows that a form decides differently in another pass over the
  same rows. | differing / rows | ours
form_fallbacks | Forms on another device | count | low | Forms that ran on another device than requested. | count | ours
augmentation_gain | Gain of an augmentation | share | high | Accuracy of trainings with an augmentation minus that of trainings
  without, on the same validation rows, mean over seeds; for regression the share by
  which the mean absolute error falls. | (gained - lost) / rows | Bouthillier et al. 2021
augmentation_slice_gain | Gain of an augmentation in a class or group | share | high | Gain in accuracy (for regression, fall of the
  error) on the validation rows of one class or group. | (gained - lost) / rows of the slice | Bouthillier et al. 2021
augmentation_label_changes | Labels changed by an augmentation | share | low | Share of the copies checked by people whose label differs
  from the original's; without checks, among copies of rows that every seed classifies correctly, the share that all seeds put in the
  same other class. | changed / copies | ours
augmentation_affinity | Affinity of an augmentation | ratio | high | Accuracy on augmented validation rows over that on the rows themselves,
  both of trainings without the augmentation; for regression the error on the rows over that on copies.
  | accuracy on copies / accuracy | Gontijo-Lopes et al. 2020
augmentation_diversity | Diversity of an augmentation | ratio | | Final training loss with an augmentation over that without. | loss with /
  loss without | Gontijo-Lopes et al. 2020
audit_age_days | Age of an audit | days | low | Days since the newest audit of a model version. Found only in older frozen reviews;
  audit_days_left replaced it. | now - at | ours
controller_regret | Regret of a controller | share | low | Relative excess of the mean outcome of a steering model's decisions over the old
  rule's. Both are for the same decisions if both outcomes are logged; otherwise the old rule's outcomes are from the time when it steered.
  | model / heuristic - 1 | Cochran 1977; Welch 1947
controller_tail_ratio | Tail of a controller | ratio | low | Highest quantile of the outcome that can be measured (p99.9, p99 or p95) under
  a steering model, over that under the old rule. | quantile / quantile | David and Nagaraja 2003
controller_guardrail_rate | Guardrail rate | share | low | Share of a steering model's decisions that a guardrail handed to the old rule.
  | fallbacks / decisions | ours
controller_bias | Bias of predicted outcomes | share | | Actual outcomes of a steering model's decisions minus the predicted ones, over the
  actual ones. | (actual - predicted) / actual | Cochran 1977
controller_coverage | Coverage of predicted outcomes | share | high | Share of actual outcomes inside the interval that a steering model
  predicted. | inside / decisions | Marcus et al. 2021
controller_feedback | Feedback of a controller | share | | Probability that an input is higher while a steering model decides than while the
  old rule decides, minus a half. | P(higher) - 1/2 | Brunner and Munzel 2000
controller_off_share | Kill switch | share | low | Share of decisions that were left to the old rule because the kill switch was on. | off /
  decisions | ours
device_late_share | Devices that send late | share | low | Share of devices whose answers reached the collector more than 24 hours
  after they were given. | late devices / devices | ours
device_crash_share | Devices that crashed | share | low | Share of devices whose service ended without being asked to. | devices
  with a crash / devices | Android vitals
device_memory_share | Devices out of memory | share | low | Share of devices whose service ended for want of memory. | devices / devices |
  Android vitals
device_disagree_share | Devices that differ from the server | share | low | Share of devices that answered more than 2 % of compared inputs
  otherwise than the server. | devices / devices with 50 compared answers | ours
device_answer_disagreement | Answers unlike the server's | share | low | Share of a version's answers on devices that differ from
  the server's under the same id; for regression by more than a tenth of the server's standard deviation. | differing / compared | ours
device_count_gap | Devices' own count | share | | Share of differing answers in the rows minus the share that the devices
  report. | by rows - by devices | ours
device_latency_ratio | Slower devices | ratio | low | Geometric mean over devices of their p99 latency divided by the p99 latency of their
  own past, or of the other devices. | exp(mean(ln(now / before))) | ours
device_stale_share | Devices on an old version | share | low | Share of devices that serve a version which another replaced at least two
  weeks ago. | devices / devices | ours
ring_crash_gap | More crashes on a new version | share | low | Share of a ring's devices that crashed on the new version, minus the share of
  devices on earlier versions in the same days. | devices / devices - devices / devices | ours
answer_shift | Shift of numbers | units of the answer | | Mean difference between a vendor model's numeric answers to fixed questions and
  the typical answers of the baseline. | mean(answer - typical) | ours
storage_days_left | Days until full | days | high | Days until a place has no room left at its growth. | room / mean daily growth, as a
  random walk with drift | ours; Newey and West 1987
storage_growth | Growth of stored data | GB a day | low | Median growth of the stored bytes by day. | median of used - used before | ours
storage_used_share | Used room | share | low | Share of the room of a place that is used, median of three reports. | used / capacity | ours
storage_retention_overdue_days | Retention overdue | days | low | Days by which the oldest data of a place exceed their retention time,
  median of three reports. | at - oldest_at - keep_days | ours
storage_duplicate_share | Duplicate bytes | share | low | Share of stored bytes whose content is stored twice. | duplicate / used | ours
storage_cold_share | Cold bytes | share | low | Share of the bytes of a fast place that nothing has read for 90 days. | cold / used | ours
storage_small_file_share | Small files | share | low | Share of the files of a place below 1 MB. | small files / files | Hadoop; Delta Lake
storage_error_rate | Failed reads and writes | share | low | Share of the reads and writes of a place that failed. | failed / all | ours
storage_read_p99_ms | Read p99 | ms | low | Median over days of the 99th percentile of the time of a read. | median by day | ours
storage_write_p99_ms | Write p99 | ms | low | Median over days of the 99th percentile of the time of a write. | median by day | ours
storage_corrupt_rate | Checksum failures | share | low | Share of checked blocks that do not match their checksum. |
  corrupt / checked | Wilson 1927
storage_backup_age_hours | Age of the newest backup | h | low | Hours from the newest complete backup to the newest report. |
  at - backup_at | ours
storage_restore_age_days | Age of the last restore test | days | low | Days since a backup was last restored and compared. | at -
  restored_at | ours
storage_behind_hours | Copy behind its source | h | low | Hours by which a copy was behind its source at the newest report, from the time up
  to which the copy is complete. | at - complete_to | ours
storage_silence_hours | Silence of a place | h | low | Hours since the newest report of a place that stores data. | now - newest | ours
stored_flip_rate | Decisions changed by a stored form | share | low | Share of rows that a model decides differently if they are read from
  the lossy form in use; for regression, answers that differ by more than 5 % of their standard deviation. | changed / rows | ours
stored_slice_gap | Changed decisions in a slice, stored form | share | low | Share of decisions that the lossy form in use changes in a
  slice minus that in the other rows. | changed / rows of the slice - of the others | Newcombe 1998; Hooker et al. 2020
stored_values_lost | Values lost by a stored form | count | low | Values of a dataset that the lossy form in use cannot hold. | count |
  ours
stored_bytes_saved | Bytes saved by a stored form | share | high | Share of the bytes of the smallest exact form that the lossy form in use
  saves. | 1 - bytes / bytes of the smallest exact form | ours
stored_psnr | Peak signal-to-noise ratio of a stored form | dB | high | Mean peak signal-to-noise ratio of the files in the group that
  loses most in the lossy form in use. | mean of 10 log10(peak² / mean squared error) | ITU-T J.340
stored_ssim | Structural similarity of a stored form | up to 1 | high | Mean structural similarity of the pictures in the group that
  loses most in the lossy form in use. | mean SSIM of luminance | Wang et al. 2004
stored_form_undecided | Form other than decided | count | low | 1 where the newest audit after a decision on the form of a dataset finds
  another form in use, else 0. | in use ≠ decided | ours
dataset_contents | Contents of a dataset version | count | low | Distinct contents logged under one name and version of a dataset. |
  distinct checksums, else numbers of rows | DVC; lakeFS
label_maturity | Label maturity | share | high | Share of served predictions whose label is known. | labelled / served | ours
label_agreement | Inter-annotator agreement (Krippendorff's alpha) | -1 to 1 | high | Agreement beyond chance on items with several
  annotators; 1 is full agreement, 0 is chance. | 1 - observed / expected disagreement | Krippendorff 2011
annotator_agreement | Annotator agreement with the majority | share | high | Share of an annotator's labels equal to the majority label of
  the other annotators, where these have a clear majority. | agreeing / compared | ours; Fisher's exact test
label_conflicts | Self-contradicting labels | share | low | Share of labels that differ from the same annotator's earlier label of the
  item. | contradicting / labels | ours
queue_days | Label queue age | days | low | Mean age of assigned items without a label. | mean of (end - given) | ours
label_price | Label price | money | | Price of one label at the window's end, from price records. | price in force | contract section 1
gold_accuracy | Accuracy on gold items | share | high | Share of correct first answers to items with a known answer (gold). | right /
  answers to gold items | Wilson 1927; Fisher's exact test
suggestion_acceptance | Suggestion acceptance rate | share | | Share of answers equal to the suggestion, among answers that were shown
  one. | answers equal to the suggestion / shown | ours
suggestion_accuracy | Suggestion accuracy by confidence | share | high | Share of correct suggestions (by gold) among suggestions from a
  given confidence on. Coverage: the share of all suggestions with that confidence. | right / suggestions of gold items with that confidence
  | El-Yaniv and Wiener 2010 (risk and coverage)
wrong_suggestions_taken | Accepted wrong suggestions | share | low | Share of wrong suggestions (by gold) that the annotator accepted. |
  taken / shown that contradict the gold answer | ours
suggestion_anchoring | Anchoring by suggestions | share | low | Rate of a wrong answer among annotators to whom it is suggested, minus its
  rate among annotators of the same items without a suggestion. | P(wrong answer given it is suggested) - P(the same answer, nothing
  suggested), within items | Mantel and Haenszel 1959; Sato et al. 1989
label_seconds | Time per label | s | | Median time per label. | median of seconds | statistics
fatigue_slope | Accuracy by hours at work | share per hour | high | Change of gold accuracy per hour since the session began, within
  sessions. | slope of correctness on hours, within sessions | Liang and Zeger 1986
psi | Population stability index | nats | low | Shift of the distribution from the reference, on the reference's deciles; missing values
  are a bin of their own. | Σ (q-p) ln(q/p) | Lewis 1994; Siddiqi 2006
level_trade | Swapped levels | share | low | Share of all rows by which one level fell and another rose while the others stayed: a lower
  bound of recoded rows. | min(abs(p_fell - q_fell), abs(q_rose - p_rose)) | ours; likelihood ratio, Wilks 1938
mean_shift | Shift of the mean | reference sd | low | Mean of the window minus that of the reference, winsorised, over the
  reference's standard deviation. | (mean_now - mean_ref) / sd_ref | Rubin 2001; Stuart 2010
jensen_shannon_distance | Jensen-Shannon distance | 0 to 1 | low | Distance between two distributions, base 2, on about 20 bins. | √(½
  KL(p‖m) + ½ KL(q‖m)) | Lin 1991
kolmogorov_smirnov | Kolmogorov-Smirnov D | 0 to 1 | low | Largest difference between two cumulative distributions. | sup abs(F - G) |
  Kolmogorov 1933; Smirnov 1948
wasserstein | Wasserstein distance | reference sd | low | Mean displacement of values, winsorised, in standard deviations of the
  reference. | W1 / sd | Kantorovich 1942
l_infinity | L-infinity distance | 0 to 1 | low | Largest change in the share of one category. | max abs(p - q) | Vertex AI
personal_data_share | Texts with personal data | share | low | Share of the texts of a column in which e-mail addresses, phone,
  card or account numbers or national identifiers were found, in a sample. | texts with a form and right check digits / texts
  | ISO/IEC 7812; ISO 13616
near_duplicate_share | Near-identical requests of one subject | share | low | Largest share of all requests that are nearly identical
  requests of one subject. | rows of the largest group of alike requests / rows | ours
far_request_share | Requests far from the reference | share | low | Share of sampled requests that are farther from their fifth neighbour in
  the reference than 99 % of the reference's own rows. | far requests / requests | nearest-neighbour distance (Sun et al. 2022)
odd_subjects | Subjects that stand out | count | low | Subjects that cover the input space, search the decision boundary or send requests
  far from the reference, unlike all others. | count | ours
input_coverage | Input space covered by one subject | share | low | Share of 200 points, spread evenly over the inputs' ranges, that are the
  nearest point to a request of the subject. A subject that copies a model covers more than the same number of other requests. | nearest
  points / 200 | Tramèr et al. 2016
boundary_request_share | Near-identical requests at the boundary | share | low | Share of a subject's near-identical requests that are as
  near to the decision boundary as the nearest 5 % of the others' requests. | near requests / near-identical requests | Chen, Carlini and
  Wagner 2020
oversized_text_share | Oversized texts | share | low | Share of sampled requests with a text of more than 500 characters that is more than
  four times as long as any of the reference or, of a text without a reference, of the weeks before. | requests / sample | ours
prompt_text_share | Prompt-like texts | share | low | Share of sampled requests with a text that gives instructions to a language
  model. | requests / sample | Greshake et al. 2023
over_reliance | Followed errors | share | low | Share of the model's errors that people followed. | followed errors / errors with a logged
  action | Schemmer et al. 2023
under_reliance | Overridden right answers | share | low | Share of the model's right answers that people overrode. | overridden right
  answers / right answers with a logged action | Schemmer et al. 2023
call_psi | Drift of calls | nats | low | Shift of a column of a language model's calls from the eight weeks before, in deciles or levels of
  those weeks; missing values are a bin of their own. | Σ (q - p) ln(q / p) | Lewis (1994)
answer_change_rate | Changed answers | share | low | Share of fixed questions whose answer differs from the typical answer of the baseline
  rounds; of free text, whose answer is much less similar to it than usual ones. | different / answered by both | ours
answer_flip_rate | Flips since the last round | share | low | Share of fixed questions whose answer differs from the round before. |
  different
  / answered by both | ours
answer_similarity | Similarity of answers | share | high | Mean similarity of free-text answers to the typical answer of the baseline. |
  cosine of the vectors of a sentence encoder, else of hashed character n-grams | Reimers and Gurevych (2019); Weinberger et al. (2009)
format_failure_rate | Format failures | share | low | Share of answers that are not in the requested format. | not well formed /
  answers | ours
refusal_rate | Refusals | share | low | Share of answers that refuse the question. | refusals / answers | ours
probe_failure_rate | Failed probes | share | low | Share of fixed questions that got no answer (errors, timeouts). | not answered / asked |
  RED method (Wilkie 2018)
probe_accuracy | Accuracy on probes | share | high | Share of fixed questions with a known answer that are answered right. | right /
  known | ours
probe_error | Error on probes | units of the answer | low | Mean distance between a vendor model's numeric answers to fixed questions and
  the right numbers. | mean(abs(answer - right number)) | ours
probe_latency | Latency of probes | ms | low | Median latency of the answers of a round. | 50 % quantile | ours
probe_tokens | Tokens of an answer | tokens | | Mean number of output tokens of the answers of a round. | mean | ours
probe_month_cost | Monthly cost of a vendor's model | money | low | Expected cost of the calendar month's probes, all sets of the model, and
  of its production calls: cost so far and a forecast of the remaining days. | spent + forecast | ours
rubric_score | Rubric score | points | high | Mean of a logged score of the answers of a round. | mean | ours
declared_versions | Changes of the declared version | count | | Rounds of the window in which most answers declare another version than in
  the round before. | count | ours
default_score_rate | Most frequent score | share | low | Share of the most frequent score; a surge is consistent with a default returned
  without calling the model. | rows of the most frequent score / rows | ours
threshold_shift | Decisions at another threshold | share | low | Share of decisions that differ from those at the usual decision threshold
  for the same scores. | rows decided otherwise / rows since the change | ours
late_rate | Late predictions | share | low | Share of predictions with more than twice the delay that 99 % of predictions kept in the month
  before. | rows with arrived - at > 2 p99 of the past / rows | ours
restated_share | Answers that changed a shown day | share | low | Share of answers that a device sent more than 24 h after the end of their
  day. | rows with synced_at > day + 48 h / rows | ours
clock_skew | Clock skew of a device | s | | Arrival delay of a device's records minus that of the other devices; negative: its clock is
  ahead. | median (arrived - at) - median of the other devices | ours
distinct_ratio | Distinct values of a device | ratio | high | Distinct values of a feature on a device, relative to as many rows of the
  other devices; low values mean coarse readings. | found / expected by rarefaction | Hurlbert 1971
rank_shift | Rank shift | ranks | | Shift of a slice's values beyond that of the other rows, in ranks among the earlier values, 0 to 1;
  0.07 is 0.25 standard deviations of a normal. | mean rank now - before, minus that of the other rows | Wilcoxon 1945
change_from_inputs | Change from covariate shift | as the metric | low | Part of the change of the mean loss that comes from changed input
  frequencies, at an unchanged relation of inputs and label. | shared before - before + now - shared now | Cai, Namkoong and Yadlowsky
  2023
change_from_relation | Change from concept drift | as the metric | low | Change of the mean loss at equal inputs, on the inputs that both
  sides have. | mean now - mean before on the shared distribution | Cai, Namkoong and Yadlowsky 2023
change_from_label_mix | Change from label shift | as the metric | low | Part of the change of the mean loss that changed label frequencies
  alone explain; it overlaps with the other two. | Σ (q - p) mean loss of the label | Kitagawa 1955
slices_named | Changed slices | count | low | Slices whose change differs significantly from the rest, among all tested slices. | count |
  ours; Benjamini and Yekutieli 2001
domain_auc | Domain-classifier AUC | 0 to 1 | low | AUC of a classifier that separates the window's inputs from the reference's; 0.5 is no
  separation. | AUC on held-out rows | Lopez-Paz and Oquab 2017
rank_correlation | Rank correlation | -1 to 1 | | Monotonic association of two numbers: 1 where they always rise together, 0 where they
  are unrelated. | correlation of ranks | Spearman 1904; Bonett and Wright 2000
accuracy | Accuracy | share | high | Share of correct decisions. | correct / labelled | scikit-learn
precision | Precision | share | high | Share of positive decisions that are correct. | TP / (TP + FP) | scikit-learn
recall | Recall | share | high | Share of positives with a positive decision. | TP / (TP + FN) | scikit-learn
f1 | F1 | 0 to 1 | high | Harmonic mean of precision and recall. | 2PR / (P + R) | scikit-learn
roc_auc | ROC AUC | 0 to 1 | high | Probability that a positive scores higher than a negative. | area under TPR over FPR | Hanley and
  McNeil 1982
pr_auc | PR AUC (average precision) | 0 to 1 | high | Precision averaged over recall. | Σ (Rn - Rn-1) Pn | scikit-learn
log_loss | Log loss | nats | low | Mean negative log likelihood of the label; confident errors weigh most. | mean of -ln p(label) |
  scikit-learn
brier | Brier score | 0 to 1 | low | Mean squared error of the probability. | mean of (p - y)² | Brier 1950
mae | Mean absolute error | units of the label | low | Mean absolute difference between prediction and label. | mean of abs(e) |
  scikit-learn
rmse | Root mean squared error | units of the label | low | Root of the mean squared error; large errors weigh more. | √ mean of e² |
  scikit-learn
largest_error | Largest error | units of the label | low | Largest error of a single prediction, where it exceeds half of the sum of all
  errors. | max abs(score - label) | ours
bias | Bias | units of the label | | Mean error; positive where predictions are too high. | mean of (prediction - label) | statistics
r2 | R² | up to 1 | high | Share of the label's variance that the predictions explain. | 1 - Σe² / Σ(y - ȳ)² | scikit-learn
selection_rate | Selection rate | share | | Share of positive decisions. | positive / decided | fairlearn
true_positive_rate | True positive rate | share | high | Share of a group's positives with a positive decision (recall). | TP / (TP + FN)
  | fairlearn
false_positive_rate | False positive rate | share | low | Share of a group's negatives with a positive decision. | FP / (FP + TN) |
  fairlearn
demographic_parity_difference | Demographic parity difference | share | low | Largest difference between the selection rates of groups; 0
  is parity. | max selection rate - min selection rate | fairlearn
demographic_parity_ratio | Demographic parity ratio (disparate impact) | ratio | high | Lowest selection rate divided by the highest; the
  four-fifths rule requires 0.8. | min selection rate / max selection rate | EEOC, 29 CFR 1607.4(D)
equalized_odds_difference | Equalized odds difference | share | low | The larger of the differences between groups in true and in false
  positive rate. | max(TPR gap, FPR gap) | Hardt, Price and Srebro 2016
equal_opportunity_difference | Equal opportunity difference | share | low | Largest difference between the true positive rates of groups.
  | max TPR - min TPR | Hardt, Price and Srebro 2016
predictive_parity_difference | Predictive parity difference | share | low | Largest difference between the precisions of groups. | max
  precision - min precision | Chouldechova 2017
group_accuracy_difference | Accuracy difference between groups | share | low | Largest difference between the accuracies of groups. | max
  accuracy - min accuracy | fairlearn
group_mae_difference | MAE difference between groups | units of the label | low | Largest difference between the mean absolute errors of
  groups. | max MAE - min MAE | fairlearn
attribution_share | Attribution share | share | | Share of a feature in the mean absolute attributions. | mean abs(SHAP) of the feature /
  sum over features | Lundberg and Lee 2017
attribution_distance | Attribution distance | share | low | Share of attribution that moved between features (total variation distance of
  the shares). | ½ Σ abs(s - s') | ours; total variation distance
robust_accuracy | Robust accuracy | share | high | Share of rows that are right and stay right under every change found within an
  attacker's budget; for regression, rows whose prediction moves by at most the tolerance. | right and cheapest change above the budget /
  rows | Carlini et al. 2019, On evaluating adversarial robustness
membership_exposure | Exposure of training records | share | low | Share of training records that a membership attack finds at 1 % false
  positives; about 1 % where it finds none. | true positive rate at a false positive rate of 1 % | Carlini et al. 2022 (LiRA)
shifted_fairness_gap | Largest gap under shift | share | low | Difference between groups in a rate of the chosen criterion, under the worst
  shift of the population within a stated divergence. | highest - lowest rate on reweighted rows |
  Hardt, Price and Srebro 2016; Hainmueller 2012
label_leakage | Label known by one feature | share | low | How well the strongest single feature predicts the label on rows that were not
  used for fitting: 0 is chance, 1 is perfect. Measured by ROC AUC, for several classes by accuracy, for regression by MAE. | (score -
  chance) / (perfect - chance) | Kaufman et al. 2012, Leakage in data mining
training_overlap | Held-out rows in the training rows | share | low | Share of held-out rows whose features a training row has, exactly or
  nearly. | held-out rows with such a row / held-out rows | Kaufman et al. 2012, Leakage in data mining
explanation_stability | Stability of explanations | -1 to 1 | high | Rank correlation of a prediction's attributions between backgrounds
  drawn with different seeds. | mean of Spearman's rank correlation over pairs | Alvarez-Melis and Jaakkola 2018
challenger_gain | Loss that a challenger avoids | share | low | Share of the serving version's loss (the owner's cost of errors, errors,
  absolute errors) that a version in shadow avoids on the same rows; negative if it adds loss. | 1 - loss of the challenger / loss of the
  champion | ours, from McNemar 1947 and the paired t interval
challenger_slice_loss | Loss that a challenger adds in a slice | units of the metric | low | Mean loss (error rate; for regression, absolute
  error) of a version in shadow minus that of the serving version, on the same rows, in the slice with the largest significant increase; 0
  without such a slice. | mean difference | ours, from McNemar 1947 and the paired t interval
audit_days_left | Days until an audit expires | days | high | Days until the newest audit of a kind expires; negative afterwards, or since
  a version without an audit replaced the audited one. | expires - now | ours
export_epsilon | Privacy loss of exports | ε | low | Privacy loss of all noised releases of a dataset to one recipient, at a stated
  δ. | Rényi losses of the mechanisms, added up and converted to ε | Mironov, Talwar and Zhang 2019; Balle et al. 2020
export_k | k of an export | rows | high | Smallest group of rows of an export with equal quasi-identifying values. | smallest group |
  Sweeney 2002, k-anonymity
export_personal_columns | Personal columns without protection | count | low | Personal columns that left without a transform or a legal
  basis. | count | ours, from GDPR articles 6 and 25
export_attestation | Attestations that differ | count | low | Exports whose enclave attested another hash than expected, or none, or whose
  signature does not match. | count | ours, from RFC 9334 (remote attestation)
export_checklist | Unmet items of a checklist | count | low | Items of the checklist of training on a third party's machines that are not
  met. | count | ours
canary_sightings | Canaries that came back | records | low | Predictions, labels and annotations that hold a canary which left with an
  export. | count | Carlini
  et al. 2019, The secret sharer
export_unlogged | Facts of exports not logged | count | low | Facts that exports do not state, so that they cannot be judged. | count | ours
attribution_ndcg | Attribution NDCG | 0 to 1 | high | Agreement of the feature ranking with the reference's ranking, with more weight on top
  ranks; 1 is the same order. | DCG of the reference's importances in the current order / in their own | Amazon SageMaker Clarify
additivity_residual | Additivity failures | share | low | Share of explained predictions whose base value and attributions miss the output
  by more than 1 % of their size. | rows with abs(output - base - Σ) > 1 % of (abs(base) + Σ abs) / explained | ours, from Lundberg and
  Lee 2017 (local accuracy)
artifact_mismatch | Artifact score mismatch | share | low | Share of explained predictions for which the registered artifact gives another
  score than was logged. | rows with another score / explained | ours
energy_per_thousand | Energy per 1,000 predictions | Wh | low | Energy of serving 1,000 predictions, including the power usage
  effectiveness (PUE) of the building. | 1000 E PUE / N | Green Software Foundation, SCI
sci | Carbon per 1,000 predictions (SCI) | gCO₂e | low | Emissions of serving 1,000 predictions, incl. embodied carbon where it is known.
  | ((E I) + M) / R, R = 1,000 predictions | ISO/IEC 21031:2024
idle_share | Idle energy share | share | low | Share of the service's energy drawn while no prediction was computed. | 1 - energy of
  predictions / energy of the service | ours
batch_energy | Energy by batch size | J per 1,000 | low | Energy of a thousand predictions in batches of one size. The ends of its interval
  multiply the ends for processor time and for power. | processor seconds × watts per busy core | ours
batch_saving | Energy avoidable by batch size or form | share | low | Share of energy that another measured batch size or form saves,
  compared with the served form one by one or in its smallest measured batches. | 1 - E of the other / E of the served one | ours
run_energy | Energy of a training run | Wh | low | Energy of a training run, including the power usage effectiveness (PUE) of the
  building. | Σ P Δt PUE | CodeCarbon
run_energy_forecast | Forecast energy of a running training run | Wh | low | Energy that a running training run will have drawn at its
  end, from its energy so far and the share of its steps that are done. | E so far × steps / steps done, corrected by earlier runs | ours
carbon_shift | Carbon avoidable by another hour | share | low | Share of the carbon of training that a start at the hour of least carbon
  avoids, over the last 28 days with an hourly carbon intensity. | 1 - Σ E I(best hour) / Σ E I(usual times) | ours, from Dodge et al. 2022
power_cap_saving | Energy avoidable by a power cap | share | low | Share of the energy of a run that the best power cap of a sweep saves
  for at most 5 % more time; 0 where later runs use it. | 1 - E(cap) / E(highest cap) | ours, from You et al. 2023 (Zeus)
utilisation | Utilisation | share | high | Mean share of an accelerator's time in which it was used. | mean of readings | ours
temperature_c | Temperature | °C | low | Temperature that 5 % of a device's readings exceed. | 95 % quantile of readings | ours
memory_gb | Memory in use | GB | low | Memory in use that 5 % of a device's readings exceed. | 95 % quantile of readings | ours
cost_per_thousand | Cost per 1,000 predictions | money | low | Cost of serving 1,000 predictions. | 1000 C / N | ours
cost_per_correct_decision | Cost per correct decision | money | low | Cost per correct decision, including training and labelling in the
  window. | C / (N accuracy) | ours
cost_per_error_avoided | Cost per error avoided | money | low | Cost per error avoided, compared with always deciding for the most
  frequent class. | C / (errors of the majority decision - errors) | ours
money_lost_per_thousand | Error cost per 1,000 decisions | money | low | Cost of the errors of 1,000 labelled decisions, at the owner's
  cost per error. | 1000 (FP c(FP) + FN c(FN)) / labelled | ours
month_cost | Monthly cost | money | low | Expected cost of the calendar month: cost so far and a forecast of the remaining days. | spent +
  Σ forecast | local level model (Harvey 1989)
ece | Expected calibration error (ECE) | share | low | Mean distance between mean score and observed rate over groups of equal mass;
  positive for a calibrated model too, so reported with its null value. | Σ share abs(rate - score) | Naeini, Cooper and Hauskrecht 2015
ecce | Cumulative calibration error (ECCE) | share | low | Largest cumulative excess or lack of events over an interval of scores, as a
  share of all rows; its p-value is that of a calibrated model. | max abs(Σ (label - score)) / N over intervals | Arrieta-Ibarra et al.
  2022
calibration_slope | Calibration slope | slope | | Slope of the outcome on the prediction: below 1 predictions are too extreme, above 1 too
  moderate. | least squares of outcome on prediction | Cox 1958; Miller 1991
estimate_error | Estimation error | as the metric | low | Estimated metric minus the metric measured on the labels that arrived. |
  estimated - measured | NannyML
best_metric | Best value of a training run | units of the metric | | Best value of a run's main metric; held-out where the run has one. |
  best over steps | ours
non_finite_steps | Non-finite steps | steps | low | Steps at which a training metric was NaN or infinite. | count | SageMaker Debugger,
  NaN rule
metric_spike | Metric spike | units of the metric | low | Jump of a training metric for the worse within one step, beyond its usual
  scatter. | peak - level before | robust z of differences (Iglewicz and Hoaglin 1993)
divergence | Divergence | units of the metric | low | Distance of a training metric's end from its best stretch, where it lost half of its
  progress. | mean of the last steps - best mean | ours
plateau_share | Plateau | share | low | Share of a run's last steps in which its metric did not improve. | steps since / steps |
  equivalence test (Schuirmann 1987)
overfitting_gap | Overfitting gap | units of the metric | low | Worsening of a held-out metric since its best value while the training
  metric improved. | mean of the last steps - best mean | early stopping (Prechelt 1998)
straggler_score | Straggler score | ratio | high | Time of the fastest rank (in communication the others' median) divided by this rank's, in
  one phase; below 0.75 it is a straggler. | median of t(fastest) / t(rank) | NVIDIA resiliency extension
failed_runs | Failed runs | runs | low | Training runs that ended with another status than finished or pruned. | count | contract section 1
run_silence | Run silence | s | low | Seconds since the last record of a run without an end. | now - newest record | ours
exploding_gradient | Exploding gradient | times | low | Largest gradient norm of a run over the median of all steps before. | max / median |
  SageMaker Debugger, exploding tensor rule
vanishing_gradient | Vanishing gradient | units of the metric | high | Gradient norm at the end of a run. | median of the last 5 steps |
  SageMaker Debugger, vanishing gradient rule
dead_units | Dead units | share | | Share of units of a network whose output is always zero. | median of the last steps | SageMaker Debugger
update_ratio | Update-to-weight ratio | ratio | | Size of an update divided by that of the weights; about 0.001 is usual. | median over a
  quarter of the steps | Schneider et al. 2021
learning_rate_jump | Learning rate jump | times | low | Learning rate divided by that of the step before, where it rises above every
  earlier rate. | rate / rate before | ours
too_good_early | Too good too fast | units of the metric | | Held-out metric near its best possible value in the first tenth of a run.
  | first value from 0.99 on | ours
device_idle_share | Idle device | share | low | Share of a device's readings in a training run with a utilisation below 10 %. | readings
  below / readings | ours
device_temperature | Device temperature | °C | low | Temperature that 10 % of a device's readings in a training run reach. | 90 %
  quantile | ours
device_power_drop | Power left | ratio | high | Power of a device in the last quarter of a run over that of the first half, at the same
  utilisation. | median / median | ours
device_memory_share | Device memory in use | share | low | Largest memory in use of a device over its size. | max / size | ours
device_utilisation_gap | Device used less | share | high | Utilisation of a device less that of its peers at the same times, or of its
  earlier runs. | median difference | ours
device_temperature_gap | Device hotter | °C | low | Temperature of a device less that of its peers at the same times, or of its earlier
  runs. | median difference | ours
device_memory_gap | Device memory above others | share | low | Memory in use of a device less that of its peers at the same times, or of its
  earlier runs, over its size (over the usual use where the size is not stated). | median difference | ours
device_power_gap | Device power below others | W | high | Power of a device less that of its peers at the same times, or of its earlier
  runs, at the same utilisation. | median difference | ours
run_alerts | Messages of a run | messages | low | Messages that a training job logged about itself (`run.alert`). | count | ours
seed_noise | Seed noise | units of the metric | low | Standard deviation of a metric between runs that differ only in seed, fold or rows.
  | sd between runs | Bouthillier et al. 2021
study_pruned_share | Good trials pruned | share | low | Share of pruned trials that were better, at the step where they were pruned, than
  three quarters of the completed trials were at that step. | better / pruned | ours
study_bound_share | Best at an edge | share | low | Share of the best settings within 5 % of an edge of the tried range. | at an
  edge / best | ours
study_noise_ratio | Noise of a study | ratio | low | Spread between seeds divided by the spread between settings. | sd / sd | Bouthillier et
  al. 2021
study_winner_excess | Luck of the winner | standard deviations | low | How far the winning run is ahead of the mean of the other runs of
  its setting. | gap / sd of the other runs | ours
study_test_ratio | Test error over tuning error | ratio | low | For the better half of the settings: error on test data divided by the
  error on the data on which they were chosen. | error / error | Cawley and Talbot 2010
study_repeat_share | Repeated trials | share | low | Share of trials with setting and seed of an earlier one. | repeats / trials | ours
study_failed_share | Failed trials | share | low | Share of the trials of a study that failed. | failed / trials | Wilson 1927
""")
