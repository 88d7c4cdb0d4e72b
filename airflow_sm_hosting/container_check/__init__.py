"""Checks that a container keeps SageMaker's contract, before it is deployed: what is wanted, what is observed, what follows."""
