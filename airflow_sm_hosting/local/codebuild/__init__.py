"""AWS CodeBuild: projects, and builds that really run in containers."""
