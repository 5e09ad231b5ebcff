"""The options of every command. Nothing here imports torch or mmengine.

The function of a command adds its options to a parser; its docstring is the
text of --help.
"""
