"""The serializer of the core."""
