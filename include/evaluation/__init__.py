"""Retrieval measured on what training never saw, and the gate that decides by it."""
