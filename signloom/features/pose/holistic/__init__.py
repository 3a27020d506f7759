"""MediaPipe Holistic's tracking, over the models that its wheel contains, without its graph.

It takes the steps of `solutions.holistic` of MediaPipe 0.10.14 in tracking mode: docs/design/holistic.md.
"""
