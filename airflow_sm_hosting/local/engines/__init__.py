"""What runs the containers of endpoints."""
