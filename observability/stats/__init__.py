"""Which numbers can be had from counts? Pure functions on small arrays: numpy and scipy, and numba for binning where it is there.

Counts are arrays over the same bins, all closed on the left; NaN or None says unknown, as each function states. What each file offers:

edges: Which bin edges does a reference give?
  TAIL_SHARE
  NumericEdges(edges, deciles, positions, counts, atoms, low, high, scale, n)
  CategoryLevels(levels, counts, other, n)
  after(value) -> float
  atom_bins(edges) -> array of bools
  numeric_edges(values, *, quantiles=50, widths=50, tails=16, atom_share=0.01) -> NumericEdges
  category_levels(values, limit=200) -> CategoryLevels

binning: Which bin is each value in, and how many values are in each bin?
  SPECIALS
  BinPlan(edges, first, origin, per_unit) with .bins
  Histogram(n, w, w2, total, squares, low, high) with .counts, .nulls, .nans
  bin_plan(edges, cells=1024) -> BinPlan
  bin_numbers(values, edges, valid=None) -> array of int16
  histogram_numbers(values, edges, weights=None, valid=None, groups=None, group_count=None) -> Histogram
  histogram_columns(columns, threads=2, weights=None, groups=None, group_count=None) -> list[Histogram]

distance: How far apart are two histograms over the same bins?
  merge_bins(counts, group_index) -> array
  coarsen(reference_counts, target=20, protected=None) -> array of ints
  occupied(reference, current) -> int
  psi(reference, current, floor=0.0001) -> float
  psi_null_quantile(n_reference, n_current, bins, quantile=0.95) -> float
  psi_p_value(value, n_reference, n_current, bins) -> float
  jensen_shannon_distance(reference, current) -> float
  hellinger(reference, current) -> float
  total_variation(reference, current) -> float
  l_infinity(reference, current) -> float
  kolmogorov_smirnov(reference, current) -> float
  kolmogorov_smirnov_p_value(d, n_reference, n_current) -> float
  wasserstein_binned(reference_counts, current_counts, edges, scale, winsorise=None) -> float
  chi_squared_p_value(reference, current, n_reference=None, n_current=None) -> float
  cramers_v(reference, current, n_reference=None, n_current=None) -> float

dispersion: How much more do days differ than chance alone makes them, and how far does a window therefore stray by itself?
  DOUBT
  DOUBT_DAYS
  Variation(between, correlation, days) with .freedom, .of_mean(days)
  share_left(days, correlation) -> float
  variation(values, row_variances, days, *, weekly=True, kept=KEPT) -> Variation
  design_effect(between, row_variance) -> float
  Null(mean, shape, freedom) with .p_value(value), .quantile(share)
  psi_null(n_reference, n_current, bins, from_days=0.0, freedom=ENDLESS) -> Null

onset: On which day did a series change, if the days tell?
  Onset(at, known, shape, gain)
  onset(values, errors=None, *, before=None, worse=0) -> Onset | None

interval: How sure is a measured number, given counts and sums only?
  Interval(value, low, high, n)
  Moments(n, total, squares, n_squares) with .effective_n, .mean, .variance, .variance_of_mean
  effective_n(n, n_squares=None) -> float
  rate_interval(successes, n, n_squares=None, confidence=0.95) -> Interval
  mean_interval(sums, confidence=0.95) -> Interval
  poisson_rate_interval(count, exposure=1.0, confidence=0.95) -> Interval
  difference_interval(a, b) -> Interval
  average_interval(parts) -> Interval
  rate_difference_interval(successes_a, n_a, successes_b, n_b, n_squares_a=None, n_squares_b=None, confidence=0.95) -> Interval
  rate_ratio_interval(successes_a, n_a, successes_b, n_b, n_squares_a=None, n_squares_b=None, confidence=0.95) -> Interval
  mean_difference_interval(a, b, confidence=0.95) -> Interval
  paired_rate_difference_interval(only_a, only_b, n, confidence=0.95) -> Interval
  f1_interval(true_positives, false_positives, false_negatives, confidence=0.95) -> Interval
  delong(positive_counts, negative_counts) -> tuple[float, float]
  auc_interval(positive_counts, negative_counts, positive_squares=None, negative_squares=None, confidence=0.95) -> Interval
  average_precision_interval(value, positives, confidence=0.95) -> Interval
  rmse_interval(squared_error, confidence=0.95) -> Interval
  r2_interval(squared_error, label, confidence=0.95) -> Interval
  as_array(intervals) -> array

confusion: How good are a classifier's decisions and scores, from counts alone?
  confusion_at(positive_counts, negative_counts, edges, threshold) -> array
  accuracy(matrix) -> float | None
  precision(matrix) -> float | None
  recall(matrix) -> float | None
  f1(matrix) -> float | None
  false_positive_rate(matrix) -> float | None
  selection_rate(matrix) -> float | None
  macro(matrix, metric) -> float | None
  roc_auc(positive_counts, negative_counts) -> float | None
  average_precision(positive_counts, negative_counts) -> float | None

scores: Which fixed bins hold the scores of classifiers?
  SCORE_EDGES
  COARSE_EDGES
  COARSE_GROUP
  bin_middles(edges=SCORE_EDGES) -> array

quantile: Which quantile does a histogram give, how sure is it, and on which bins is latency kept?
  RELATIVE_ERROR
  log_edges(low=0.01, high=10000000.0, relative_error=RELATIVE_ERROR) -> array
  LOG_EDGES
  bin_middle(low, high) -> array
  histogram_quantile(counts, edges, q, middle=False) -> float | None
  quantile_interval(counts, edges, q, middle=False, effective_n=None, confidence=0.95) -> Interval

change: Is a count, a rate or a level unlike its own past, and how many rows would tell?
  CountTest(observed, expected, ratio, low, high, p_value, dispersion, overdispersed, n_history)
  ProportionTest(z, p_value, difference)
  Run(start, length, value)
  poisson_or_overdispersed_test(observed, expected_history, confidence=0.95) -> CountTest
  robust_z(value, history) -> float | None
  two_proportion_test(successes_a, n_a, successes_b, n_b, n_squares_a=None, n_squares_b=None, confidence=0.95) -> ProportionTest
  runs_of_equal_values(values) -> list[Run]
  longest_run(values) -> Run | None
  needed_n_for_proportion(p, effect, power=0.8, confidence=0.95) -> int | None
  needed_n_for_psi(limit, bins, n_reference=None, quantile=0.95) -> int | None
  needed_n_for_rate_interval(p, half_width, confidence=0.95) -> int | None

agreement: Do annotators agree more than chance would make them?
  RELIABLE, TENTATIVE
  agreement(items, confidence=0.95, seed=0) -> Interval
  agreement_of(counts, confidence=0.95, seed=0) -> Interval
  alpha_with_variance(counts) -> tuple[float, float]

attribution: What does a model lean on, by the attributions of a sample, has that changed beyond chance, and do they add up?
  TOLERANCE
  SCORE_TOLERANCE
  Importance(mean, low, high, share, share_low, share_high, n)
  Compared(value, low, high, p_value, null)
  Change(distance, ndcg, shares, low, high, p_values)
  importance(values, weights=None) -> Importance
  ndcg(reference, current) -> float
  total_variation(reference, current) -> float
  attribution_change(reference, current, reference_weights=None, current_weights=None, resamples=1999, seed=0) -> Change
  needed_rows(null, limit, n, m) -> int | None
  adds_up(values, base, residual) -> array of bools
  score_of(output, link) -> array
  output_of(score, link) -> array

rate_change: Is a rate higher than an earlier one, where days differ more than chance alone makes them; and from when to when was it?
  DOUBT_BLOCKS
  DOUBT
  dispersion(blocks) -> tuple[float, int]
  higher_rate_test(successes, n, before, n_before, spread) -> float
  surest_segment(successes, n, rate) -> tuple[int, int] | None

service_level: How much of an error budget is left, how fast is it spent, and when was it spent too fast?
  BUDGET_DAYS
  MINIMUM_REQUESTS
  MINIMUM_BAD
  Rule(factor, long, short) with .spent
  RULES
  Burn(rule, rate, short, n, bad, enough, fires)
  burn_interval(bad, n, target, n_squares=None) -> Interval
  budget_left(bad, n, target, n_squares=None) -> Interval
  over(values, hours) -> array
  firing(bad, n, target, rule) -> array of bools
  lowest(bad, n) -> array
  burns(bad, n, target, rules=RULES) -> list[Burn]

paired: Are two models unlike on the same rows, where both answered each of them?
  Paired(a, b, difference, p_value)
  mcnemar_p_value(only_a, only_b) -> float
  paired_rates(holds_a, holds_b, confidence=0.95) -> Paired
  paired_means(values_a, values_b, confidence=0.95) -> Paired
  paired_ratios(parts_a, wholes_a, parts_b, wholes_b, confidence=0.95) -> Paired
  paired_rmse(errors_a, errors_b, confidence=0.95) -> Paired
  paired_roc_auc(scores_a, scores_b, positive, confidence=0.95) -> Paired

strata: How sure is a share whose rows come in groups (several labels of one item), and does it differ between two sides within the groups?
  Stratified(difference, p_value)
  row_squares(hits, rows) -> float
  grouped_rate_interval(hits, rows, confidence=0.95) -> Interval
  stratified_difference(hits_a, rows_a, hits_b, rows_b, confidence=0.95) -> Stratified
  mantel_haenszel_p_value(a, n, c, m) -> float
  gini(amounts) -> float

domain: Can rows of two samples be told apart, how well against chance, and by what?
  Separation(auc, low, high, null_mean, null_sd, p_value, additive_auc, importance, pair, rows, scores, reference_scores) with .null_95
  separate(reference, current, *, permutations=99, seed=20) -> Separation | None
  rows_needed(other, gap) -> float
  AgainstDays(auc, null_mean, null_sd, p_value)
  against_days(past, current, past_days, current_days, *, draws=60, seed=20) -> AgainstDays | None

multiple: Which of many tests still count, when chance alone would raise some of them?
  ACT_SHARE
  benjamini_hochberg(p_values, q=0.1) -> tuple[array, array of bools]
  spend(q, runs, windows=1, questions=1) -> float

sequential: Has a daily figure been creeping up, looked at every day, with a stated number of days between false alarms?
  SHIFTS
  LARGEST
  creeping(scores) -> array
  mean_days_between(budget) -> float
  began(scores) -> int | None

ratio: How sure is a ratio of two totals that came in parts (energy over predictions, by day), and did it change?
  RatioChange(value, low, high, p_value, n)
  ratio_interval(totals, sizes, confidence=0.95) -> Interval
  ratio_change(now_totals, now_sizes, past_totals, past_sizes, confidence=0.95) -> RatioChange

forecast: Where will a sum that grows day by day stand at the end of the month, and how sure is that?
  LEAST_DAYS
  WEEKDAY_DAYS
  Forecast(value, low, high, by_day, method, n)
  sum_ahead(history, days, confidence=0.95) -> Forecast

calibration: Do scores mean what they say: is an event that is given 0.3 seen 3 times in 10, or is it off by more than chance explains?
  Reliability(score, rate, low, high, n, effective, variance, index, first, last) with .deviation, .share
  CalibrationError(value, low, high, null_mean, null_95, p_value, n, start=None, end=None, gap=None, held=None) with .excess
  reliability(positive, total, squares=None, scores=None, *, groups=10, index=None) -> Reliability | None
  expected_calibration_error(found) -> CalibrationError
  cumulative_calibration_error(positive, total, squares=None, scores=None) -> CalibrationError | None
  brownian_range_p_value(x) -> float
  calibration_change_p_value(now, before) -> float
  brier_parts(found) -> tuple[float, float, float]
  Line(slope, low, high, intercept, n)
  calibration_line(predictions, truth, clusters=None) -> Line | None

estimate: How well would a classifier do on rows without labels, if its scores still meant what they meant in the reference?
  Calibrator(rates, draws, n)
  Estimated(value, window_error, calibration_error, n) with .interval
  calibrator(positive, total, squares=None, scores=None, draws=100) -> Calibrator | None
  binary_estimates(decided, squares, chances, scores=None) -> dict[str, Estimated]
  binary_values(decided, positive, scores=None) -> dict[str, array]

curve: What does a learning curve say: where did it jump, does it still improve, is it past its best, and how much of it is noise?
  Noise(sd, inflation) with .of_mean(n)
  Spike(at, jump, z, before, peak, recovered, early)
  Change(at, value, low, high, share)
  smooth(values, weight) -> array
  thin(values, limit) -> array of ints
  robust_sd(values) -> float
  noise(values) -> Noise
  progress(cost) -> float
  spikes(cost) -> list[Spike]
  divergence(cost) -> Change | None
  overfitting(steps, cost, training_steps, training_cost) -> Change | None
  trend(cost, spread) -> Change
  plateau(cost) -> Change | None
  median_interval(values, outside) -> tuple[float, float, float]
"""
