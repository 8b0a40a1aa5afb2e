"""Airflow on this machine, for the demo, for development and for tests. Nothing here runs in production."""
