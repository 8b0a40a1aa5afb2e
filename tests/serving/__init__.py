"""Tests of the resident asker."""
