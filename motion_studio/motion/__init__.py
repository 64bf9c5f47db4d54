"""Motions as tensors: what they are, and all that can be done with them without a model."""
