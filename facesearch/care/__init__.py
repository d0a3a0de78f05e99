"""Care of an index and of the machine that it is on."""
