"""The dead-letter list: what was finally given up, and what becomes of it."""
