"""The API described as OpenAPI 3.1, made of the models and limits that the functions themselves use."""
