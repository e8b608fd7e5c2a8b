"""What agents say: their streams, the messages that wait for a step, and who was heard of when."""
