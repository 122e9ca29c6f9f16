"""A page on which one steps backward through a network, op by op: `minicnn explore`, `study.explore`.

    record.py      what happened: the graph, every gradient, what each head contributed
    heads.py       the terms of the loss
    formulas.py    what each op computes, in the words of its page in docs/ops, with the real shapes
    thumbnails.py  arrays as small pictures
    patches.py     im2col for one patch, and its transpose
    describe.py    all of that as what JSON can hold
    page.py        put into one HTML file
    explore.py     the public function

page/ is what runs in the browser, vendor/ the layout library it uses.
"""

from minicnn.study.explorer.explore import explore

__all__ = ["explore"]
