"""What runs once per fleet: peer summaries, evidence of every node, selection and verdicts."""
