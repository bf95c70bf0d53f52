"""Named runs: functions from facts about the data to a model, its optimisers and a batch size.

Their keyword arguments are the settings of `--set name=value`; those that are networks take the
place of a player.
"""
