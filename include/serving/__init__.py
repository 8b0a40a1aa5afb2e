"""A resident asker: questions, searches and counts over HTTP, from the live version. `python -m include.serving`."""
