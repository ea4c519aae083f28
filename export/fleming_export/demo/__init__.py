"""A small model that has learned something checkable: phantoms, questions about them, and its training.

Nothing here is medical. The pictures are drawn, the anatomy is invented, and what the model learns is to see
what was drawn. ``seeds`` keeps training and test apart; ``images``, ``volumes`` and ``clips`` draw; ``facts``
holds the wordings; ``questions`` asks; ``cases`` writes files. Only ``model``, ``batches`` and ``train`` need
torch.
"""
