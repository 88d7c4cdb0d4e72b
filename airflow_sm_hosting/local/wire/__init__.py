"""How AWS requests are read and answered, for all services."""
