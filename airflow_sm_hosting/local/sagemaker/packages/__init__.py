"""Model package groups and model packages: the model registry."""
