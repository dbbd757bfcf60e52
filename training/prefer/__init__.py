"""`tooldojo prefer`: one self-contained page on which a person says which trajectory is better."""

from tooldojo.training.prefer.page import Side, choose, line_of, render_page

__all__ = ["Side", "choose", "line_of", "render_page"]
