"""Random-weight checkpoints in the original layout, and inputs to ask about: for tests and demonstrations.

Nothing here comes from a published model: the numbers are random, the tokenizer is trained on sentences
written here, and the pictures are drawn. What such a model answers is noise; that two programs answer the
same noise is a test.
"""
