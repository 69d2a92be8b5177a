"""Values in transit: encoded, checked in as blobs; and failures as data."""
