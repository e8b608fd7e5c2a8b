"""What terminals see: views of the fleet, made once and shared, and answers to their questions."""
