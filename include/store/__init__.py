"""The vector stores: one protocol, two engines, and what is kept about versions."""
