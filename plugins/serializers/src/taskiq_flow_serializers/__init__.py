"""Serializers for Taskiq-Flow: MessagePack, CBOR, arrays, tables, signed pickles; compression, encryption, claim checks."""
