"""Keeping an index current: diff, then read, extract and write what changed; and switching the index's model.

`refresh` and `model_switch` are what others call. From the ground up: options, report, diff; contents, extraction,
suspects, pipeline; headers, moves, writer.
"""
