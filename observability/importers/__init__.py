"""Readers for files of other tools: MLflow, TensorBoard, Optuna, CodeCarbon, Zeus, Transformers, OpenLineage. Also a reader for tables of
reference and current rows.
"""
