"""`tooldojo serve`: a policy as an OpenAI-compatible endpoint."""
