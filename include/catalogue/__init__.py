"""From lines to clean Parquet, and how the other stages read it."""
