"""Contrastive fine-tuning of the bi-encoder."""
