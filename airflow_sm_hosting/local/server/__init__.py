"""The process of the local AWS: its HTTP server, its request handlers, its Regions and its state."""
