"""botocore's model of a service as a validator and coercer of requests. The local AWS uses the same one."""
