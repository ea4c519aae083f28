"""Where tensors come from. ``readable`` is what all of these have in common.

stored        where one tensor lies in a file, and its values
safetensors   the tensors of a safetensors file
folder        a checkpoint folder: its JSON files, and its tensors by name
prequantized  one whose language model AWQ or GPTQ has packed
packaged      an f32 package in the place of the checkpoint that it came from
padded        any of them with groups of query heads filled up
equalized     any of them with columns brought to like size
"""
