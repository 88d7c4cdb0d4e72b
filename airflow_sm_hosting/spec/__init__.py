"""What to deploy: plain data in the shape of the AWS request, checked when it is written."""
