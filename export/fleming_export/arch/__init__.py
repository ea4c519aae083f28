"""The model, part by part: each function adds its part to a graph and returns the value that comes out."""
