"""Whether a version goes live, how, and back."""
