"""Endpoints: their fleets, deployments and capacity."""
