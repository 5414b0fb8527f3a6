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

multiple: Which of many tests still count, when chance alone would raise some of them?
  benjamini_hochberg(p_values, q=0.1) -> tuple[array, array of bools]
  spend(q, runs, windows=1) -> float
"""
