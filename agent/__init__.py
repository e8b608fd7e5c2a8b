"""What runs on every accelerator host: readings in, blocks and evidence out."""
