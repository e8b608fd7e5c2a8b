"""The wire: messages between agent, aggregator and terminal, and their encoding."""
