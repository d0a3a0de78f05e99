"""Keep an index current (diff, then read, extract and write what changed), and switch its model.

Other packages call `refresh` and `model_switch`. From the bottom up: options, report, diff; contents, extraction,
suspects, pipeline; headers, moves, writer.
"""
