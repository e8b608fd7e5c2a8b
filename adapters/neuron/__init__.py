"""AWS Neuron: Trainium and Inferentia devices, read and never written to."""
