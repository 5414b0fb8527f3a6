"""Statistics on small arrays, most of them on counts. All functions are pure. They use numpy and scipy, and numba for binning if it is
installed.

Counts are arrays over the same bins, closed on the left. NaN or None means unknown, as each function states. Modules by topic:

* Binning: edges, binning, binning_compiled, counting, counting_compiled, scores, quantile, column_quantiles.
* Intervals and ratios: interval, difference_intervals, score_intervals, ratio, paired, strata; blocks and serial (correlated rows).
* Classifiers: confusion, calibration, estimate (expected metrics without labels).
* Change: change, distance, level_swap, domain (classifier two-sample test), decompose, rate_change, sequential, onset, lasting_excess.
* Variation between days and multiple tests: dispersion, multiple_testing, fleet_budget (false alarms of many models).
* Groups and slices: group, reweighting (populations shifted), slices, slice_days, slice_moments, distinct.
* Attributions, maps, learning curves, parameters of studies: attribution, principal_plane, curve, extreme_blocks (spikes
  between the values that were read), tail_gaps, parameter_importance, repeated_runs.
* Membership attacks, privacy loss: exposure, privacy_loss.
* Annotators and labels: agreement, crowd_labels, confident_learning.
* Texts: text_similarity (hashed character n-grams).
* Pictures and sound: fidelity (signal-to-noise ratios, structural similarity).
* Forecasts, service levels: forecast, exhaustion (when a level reaches a limit), service_level.
* Power of processors: power_fit. Ranks of distributed training: rank_times, rank_blocks.
"""
