"""Plain networks that draw nothing: bodies that make features, heads that make distributions."""
