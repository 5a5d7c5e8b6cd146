"""What things cost: the library against a plain reference, on the machine at hand."""
