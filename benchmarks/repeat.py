"""Make a library of any size out of a small one: its ligands again and again under new ids.

python benchmarks/repeat.py SOURCE.templ OUT.templ COUNT
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from templ.library.format import DATA_FILES, Counts, describe_file, write_manifest
from templ.library.ligands import LigandWriter
from templ.library.store import open_library


def repeat_library(source: Path, out: Path, count: int) -> None:
    """Write `count` ligands; the first copy keeps its ids, so that targets are found in every size."""
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    with open_library(source) as library, LigandWriter(out) as writer:
        for number in range(count):
            copy, row = divmod(number, len(library))
            values, fingerprint, *_ = library.row(row)
            if copy:
                values["id"] = f"{values['id']}-{copy}"
            writer.add(values, fingerprint)
        manifest = library.manifest
    files = {name: describe_file(out / name) for name in DATA_FILES}
    counts = Counts(ligands=count, left_out=0)
    update = {"counts": counts, "files": files, "source_paths": ()}
    write_manifest(out, manifest.model_copy(update=update))


if __name__ == "__main__":
    repeat_library(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
