"""What a break is."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Break:
    """Replace `old`, which must be there once, by `new`; `tests` are to notice."""

    file: str
    old: str
    new: str
    tests: str
