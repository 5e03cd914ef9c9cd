"""Making of parts in which one complex brings its worker down."""

from __future__ import annotations

import json
import os
from pathlib import Path

from templ.jobs import library_part


def open_work(context):
    work = library_part.open_work(context)

    def fragile(task):
        if any(Path(folder).name == "deadly" for folder in json.loads(task)["paths"]):
            os._exit(9)
        work(task)

    return fragile
