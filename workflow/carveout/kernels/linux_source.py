# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's source, as a Debian package has it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from carveout.archive.debs import fetch, unpack
from carveout.archive.package import Package
from carveout.common.errors import CarveoutError


@contextmanager
def source_archive(linux_source: Package) -> Iterator[Path]:
    """Yield the tar archive that is in a package linux-source-*."""
    (deb,) = fetch([linux_source])
    with tempfile.TemporaryDirectory(prefix="carveout-source-") as name:
        unpack([deb], Path(name))
        found = list(Path(name).glob("usr/src/linux-source-*.tar.*"))
        if len(found) != 1:
            raise CarveoutError(f"{linux_source}: wanted one archive in it, found {len(found)}")
        yield found[0]
