"""Tests of Vitrine in Python."""
