"""Serializers and codecs for Taskiq-Flow."""
