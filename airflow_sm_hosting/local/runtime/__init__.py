"""The SageMaker runtime: invocations of endpoints."""
