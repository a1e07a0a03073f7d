"""What the teaching notebooks show, a module of the same stem for each.

vggnet           notebook 01      f2_score         notebook 04
dark_channel     notebook 02, with dark_channel_widget (its panel) and derivation (the page)
networks         notebook 10, with primitives (layers written out) and batch_norm
"""
