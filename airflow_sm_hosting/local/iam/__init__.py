"""IAM: which permissions a request needs, and whether policies allow them."""
