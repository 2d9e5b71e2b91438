"""The package under the notebooks: what convolutional networks see and do.

Each folder is a room named after its subject, and each module in it says which notebook explains it.
Importing this package loads no framework.
"""

from course_utils.runtime import pass_over_odd_settings

__version__ = "0.2.0"

pass_over_odd_settings()
