"""Vitrine's logic: plain Python, one module per stage, importable without Airflow."""
