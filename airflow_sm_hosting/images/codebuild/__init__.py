"""Builds by AWS CodeBuild, decided: the project, the request, and the end of a build."""
