"""Training: the loop with its checkpoints, the devices that share it, and the `Trainer` of what ships.

One module for each `course train` command holds its recipe. Loads no framework.
"""

from course_utils.training.checkpoints import Progress
from course_utils.training.devices import Devices, spread
from course_utils.training.loop import Batch, Batches, fit, one_cycle, prefetch, run_epoch, shuffled, steps_in
from course_utils.training.normalization import batch_normalization
from course_utils.training.trainer import Judgement, Recipe, Trainer

__all__ = [
    "Batch",
    "Batches",
    "Devices",
    "Judgement",
    "Progress",
    "Recipe",
    "Trainer",
    "batch_normalization",
    "fit",
    "one_cycle",
    "prefetch",
    "run_epoch",
    "shuffled",
    "spread",
    "steps_in",
]
