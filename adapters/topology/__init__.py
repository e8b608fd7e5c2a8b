"""What is wired to what: the topology model and the sources it is read from."""
