"""Exercises: `check` an answer, ask for a `hint`, look at the `solution`, read a function's source.

    check("01.2", my_function)     # says what is wrong, never raises
    hint("01.2")
    solution("01.2")
    show_source(feature_maps)      # any function of the course
    quiz("01", "bd..a")            # five questions at the end of each notebook

One module a notebook (`nb01`, `nb02`, …); `frame` holds what they share, `questions` the quiz.
"""

from course_utils.exercises.frame import check, hint, show_source, solution
from course_utils.exercises.questions import quiz

__all__ = ["check", "hint", "quiz", "show_source", "solution"]
