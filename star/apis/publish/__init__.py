"""Write the weights of a model for others, with what they are."""
