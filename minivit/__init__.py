"""Vision Transformers from scratch, and one question: how dense should attention be?

The subpackages, each readable on its own::

    minivit.scratch     NumPy only, every gradient written by hand
    minivit.mixers      how tokens mix, one idea per file
    minivit.layers      the rest of a block
    minivit.models      the layers assembled; create_model(name)
    minivit.data        data sets and augmentation
    minivit.analysis    pure functions that measure attention and count its cost
    minivit.tasks       what a batch, a loss and a score are
    minivit.training    configuration, checkpoints, the loop
    minivit.report      what trained models do: evaluate, analyze, sweep
    minivit.bench       how fast models and recipes are
    minivit.figures     the book's plots

What the notebooks of the book and the course use beside these is in ``minivit.checks``, ``expect``, ``lessons`` and
``coursework``; what the subpackages share, in ``minivit.options``, ``files``, ``draws`` and ``wrappers``. The command
line, ``python -m minivit``, is read by ``minivit.arguments``.
"""

__version__ = "0.1.0"
