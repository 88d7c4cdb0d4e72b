"""SageMaker hosting: models, endpoint configs, endpoints and inference components."""
