"""Frozen features: what a pretrained body that does not train says of each image, computed once and kept.

``store`` keeps them in a file, ``extract`` computes what is missing. Add here: augmented views, other ways to pool.
"""
