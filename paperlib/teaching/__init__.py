"""What the teaching notebooks show, a module of the same stem for each.

vggnet           notebook 01
dark_channel     notebook 02, with dark_channel_widget (its panel) and derivation (the page)
preparation      notebook 03      f2_score         notebook 04
networks         notebook 10, with primitives (layers written out), googlenet and batch_norm
penalties        notebook 07      occlusion        notebook 11
exercises        questions to the reader, checked in the notebook; words: their language
"""
