"""Stand-ins for AWS's own serving images: which image has one, and the program that answers in its place."""
