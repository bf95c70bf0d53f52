"""The commands, one function each: its signature and docstring are its flags and help."""
