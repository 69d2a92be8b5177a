"""Tasks that read texts and report on them."""
