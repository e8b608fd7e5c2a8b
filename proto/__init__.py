"""The wire: messages between agent and aggregator, and later their protobuf form."""
