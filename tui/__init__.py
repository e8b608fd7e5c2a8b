"""The terminal for the person on call: a picture of the fleet, its verdicts, and their reasons."""
