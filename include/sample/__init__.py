"""The synthetic catalogue."""
