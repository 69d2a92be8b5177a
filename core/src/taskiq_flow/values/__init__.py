"""Values on their way: encoded, checked in as blobs, and failures as data."""
