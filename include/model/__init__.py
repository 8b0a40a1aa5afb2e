"""The bi-encoder: its directory, its forward pass, its word pieces."""
