"""A file of questions, answered by one version of the index into a file of the same kind."""
