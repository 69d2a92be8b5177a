"""One program for each side. It imports only what is installed in that side's environment, and ``protocol``."""
