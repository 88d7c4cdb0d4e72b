"""Inference components and adapters."""
