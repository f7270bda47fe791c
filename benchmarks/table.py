# SPDX-License-Identifier: GPL-2.0-only
"""The table of the measurements: one row per quantity and case, with its ratio to another case."""

import io
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from carveout.common.files import write_atomically
from carveout.common.revision import git_revision
from carveout.common.sizes import GIB
from carveout.machines.emulators import host_qemu_version
from carveout.wording.quantities import NOTHING, bytes_label


@dataclass(frozen=True)
class Row:
    """One quantity of one case.

    Attributes:
        measure: the name of the measure that found it.
        quantity: what was measured.
        case: what it was measured of, such as ``fork, idle``.
        unit: ``s``, ``bytes``, ``1/min``, ``%``, or what is counted.
        samples: all values that were measured; none when the case was not run.
        size: the case as a number (seeds, RAM in bytes, cells), where it is one.
        ratio_to: the case of the same measure and quantity that this one is divided by.
        ratio_at_most: the most that the ratio may be.
        note: why it was not run, or None.
    """

    measure: str
    quantity: str
    case: str
    unit: str
    samples: Sequence[float]
    size: int | None = None
    ratio_to: str | None = None
    ratio_at_most: float | None = None
    note: str | None = None

    @property
    def value(self) -> float | None:
        """The median of the samples."""
        return statistics.median(self.samples) if self.samples else None


def not_run(measure: str, quantity: str, case: str, why: object) -> Row:
    """Return the row of a case that could not be run."""
    return Row(measure, quantity, case, "", (), note=f"not run: {why}")


def table_of(rows: Sequence[Row]) -> pd.DataFrame:
    """Return the rows as a table; a value is a median, beside its least and most sample."""
    values = {(row.measure, row.quantity, row.case): row.value for row in rows}
    return pd.DataFrame(
        {
            "measure": row.measure,
            "quantity": row.quantity,
            "case": row.case,
            "ratio": _ratio(row, values),
            "ratio_to": row.ratio_to,
            "ratio_at_most": row.ratio_at_most,
            "value": row.value,
            "unit": row.unit,
            "least": min(row.samples, default=None),
            "most": max(row.samples, default=None),
            "samples": len(row.samples),
            "size": row.size,
            "note": row.note,
        }
        for row in rows
    ).astype({"ratio": "Float64", "ratio_at_most": "Float64", "value": "Float64", "size": "Int64"})


def _ratio(row: Row, values: Mapping[tuple[str, str, str], float | None]) -> float | None:
    if row.ratio_to is None:
        return None
    other = values.get((row.measure, row.quantity, row.ratio_to))
    return None if row.value is None or not other else row.value / other


def machine(qemu_name: str) -> dict[str, str]:
    """Return what the numbers belong to: this machine, its programs, and how busy it was before."""
    memory_bytes = psutil.virtual_memory().total
    return {
        "CPU": _cpu_model(),
        "cores": str(len(os.sched_getaffinity(0))),
        "RAM": f"{memory_bytes / GIB:.1f} GiB",
        "kernel": platform.release(),
        "QEMU": host_qemu_version(qemu_name) or qemu_name,
        "Python": platform.python_version(),
        "carveout": git_revision(),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def as_csv(table: pd.DataFrame, head: Mapping[str, str]) -> str:
    """Return the table as CSV after lines of ``#`` that say what it was measured on."""
    lines = "".join(f"# {name}: {value}\n" for name, value in head.items())
    return lines + table.to_csv(index=False, float_format="%.6g")


def as_text(table: pd.DataFrame, head: Mapping[str, str]) -> str:
    """Return the table for a terminal: the machine, the ratios with a limit, then all measures."""
    text = io.StringIO()
    width = max(map(len, head))
    for name, value in head.items():
        text.write(f"{name:{width}}  {value}\n")
    limited = table[table["ratio_at_most"].notna()]
    if len(limited):
        _write_part(text, "limits", [_limited_cells(row) for row in limited.to_dict("records")])
    for (measure, quantity), rows in table.groupby(["measure", "quantity"], sort=False):
        _write_part(text, f"{measure}: {quantity}", [_cells(r) for r in rows.to_dict("records")])
    return text.getvalue()


def _write_part(text: io.StringIO, title: str, lines: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text.write(f"\n{title}\n")
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        text.write(f"  {'  '.join(cells).rstrip()}\n")


def _limited_cells(row: Mapping[Any, Any]) -> list[str]:
    verdict = "not known"
    if pd.notna(row["ratio"]):
        verdict = "kept" if row["ratio"] <= row["ratio_at_most"] else "MISSED"
    limit = f"at most {ratio_text(row['ratio_at_most'])}"
    return [
        ratio_text(row["ratio"]),
        limit,
        verdict,
        f"{row['measure']}: {row['quantity']}",
        _compared(row),
    ]


def _cells(row: Mapping[Any, Any]) -> list[str]:
    if not row["samples"]:
        return [NOTHING, NOTHING, row["case"], row["note"]]
    value, least, most = (value_text(row[key], row["unit"]) for key in ("value", "least", "most"))
    spread = "" if row["samples"] == 1 else f"{row['samples']} samples, {least} to {most}"
    return [ratio_text(row["ratio"]), value, _compared(row), spread]


def _compared(row: Mapping[Any, Any]) -> str:
    return row["case"] if pd.isna(row["ratio_to"]) else f"{row['case']} / {row['ratio_to']}"


def ratio_text(ratio: float) -> str:
    """Return a ratio as people read it, or no text where nothing was compared."""
    return "" if pd.isna(ratio) else f"{ratio:.3g}"


def value_text(value: float, unit: str) -> str:
    """Return a value with its unit as people read it."""
    if unit == "bytes":
        return bytes_label(value)
    if unit == "s" and 0 < value < 1:
        return f"{value * 1000:.3g} ms"
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"


def write_table(table: pd.DataFrame, head: Mapping[str, str], folder: Path) -> None:
    """Write the table twice: ``bench.csv`` and ``bench.txt``."""
    write_atomically(folder / "bench.csv", as_csv(table, head))
    write_atomically(folder / "bench.txt", as_text(table, head))
