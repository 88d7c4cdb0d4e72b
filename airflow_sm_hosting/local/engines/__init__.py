"""Engines: they run the containers of endpoints."""
