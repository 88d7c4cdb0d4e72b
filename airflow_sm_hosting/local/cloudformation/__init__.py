"""CloudFormation: stacks of the resources of this package and of moto, created, updated, rolled back and deleted through the services."""
