"""What the filters want to see: pictures that excite them most (Erhan et al. 2009). Notebook 08.

`maximize` climbs for many filters at once; `sheet`, `atlas` and `poster` put the results side by side;
`regions` finds what excites the same filters in real photographs; `spectrum_peak`, `selectivity` and
`effective_field` say in numbers what the pictures seem to show; `dream` climbs from a photograph.
"""

from .ascent import maximize
from .dream import dream, energy_gradient
from .losses import affine, one_filter_each
from .measures import (
    Selectivity,
    Wave,
    angle_between,
    effective_field,
    matched,
    selectivity,
    spectrum_peak,
    width_of,
)
from .optima import Optima, presentable
from .recipes import RECIPES, Recipe
from .targets import between, evenly, together
from .views import Region, atlas, from_atlas, headed, kernels, poster, regions, regions_of, rgb_kernels, sheet

__all__ = [
    "RECIPES",
    "Optima",
    "Recipe",
    "Region",
    "Selectivity",
    "Wave",
    "affine",
    "angle_between",
    "atlas",
    "between",
    "dream",
    "effective_field",
    "energy_gradient",
    "evenly",
    "from_atlas",
    "headed",
    "kernels",
    "matched",
    "maximize",
    "one_filter_each",
    "poster",
    "presentable",
    "regions",
    "regions_of",
    "rgb_kernels",
    "selectivity",
    "sheet",
    "spectrum_peak",
    "together",
    "width_of",
]
