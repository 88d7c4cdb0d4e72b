"""Application Auto Scaling of SageMaker."""
