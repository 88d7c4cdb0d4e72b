"""What starts, stops and steers a server."""
