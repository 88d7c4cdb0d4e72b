"""Amazon ECR and its container registry."""
