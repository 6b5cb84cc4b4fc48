"""Pretrained encoders: found, checked, and put together from their checkpoints."""
