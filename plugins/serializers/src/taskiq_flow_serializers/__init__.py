"""Serializers for Taskiq-Flow, and codecs for what they write."""
