# SPDX-License-Identifier: GPL-2.0-only
"""The table of what was measured: one row a quantity and case, its ratio to another case first."""

import io
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil

from carveout.errors import CarveoutError
from carveout.files import write_atomically
from carveout.qemu import find_qemu, qemu_version
from carveout.revision import git_revision
from carveout.sizes import GIB, KIB, MIB


@dataclass(frozen=True)
class Row:
    """One quantity of one case.

    Attributes:
        measure: the name of the measure that found it.
        quantity: what was measured.
        case: of what.
        unit: ``s``, ``bytes`` or ``1/min``.
        samples: all values that were measured; none when the case was not run.
        size: the case as a number (seeds, RAM in bytes, cells), where it is one.
        ratio_to: the case of the same measure and quantity that this one is divided by.
        ratio_at_most: the bar that the ratio is held against.
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
    """The row of a case that could not be run."""
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


def machine() -> dict[str, str]:
    """What the numbers belong to: this machine, its programs, and how busy it was before."""
    memory_bytes = psutil.virtual_memory().total
    qemu = find_qemu("qemu-system-aarch64", "the benchmark")
    return {
        "CPU": _cpu_model(),
        "cores": str(len(os.sched_getaffinity(0))),
        "RAM": f"{memory_bytes / GIB:.1f} GiB",
        "kernel": platform.release(),
        "QEMU": qemu_version(qemu),
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
    """Return the table for a terminal: the machine, the ratios with a bar, then all measures."""
    text = io.StringIO()
    width = max(map(len, head))
    for name, value in head.items():
        text.write(f"{name:{width}}  {value}\n")
    barred = table[table["ratio_at_most"].notna()]
    if len(barred):
        _write_part(text, "bars", [_barred_cells(row) for row in barred.to_dict("records")])
    for measure, rows in table.groupby("measure", sort=False):
        _write_part(text, str(measure), [_cells(row) for row in rows.to_dict("records")])
    return text.getvalue()


def _write_part(text: io.StringIO, title: str, lines: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text.write(f"\n{title}\n")
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        text.write(f"  {'  '.join(cells).rstrip()}\n")


def _barred_cells(row: Mapping[str, object]) -> list[str]:
    if pd.isna(row["ratio"]):  # type: ignore[call-overload]
        verdict = "not known"
    else:
        verdict = "kept" if float(str(row["ratio"])) <= float(str(row["ratio_at_most"])) else "MISSED"
    bar = f"at most {ratio_text(row['ratio_at_most'])}"
    return [ratio_text(row["ratio"]), bar, verdict, *_what(row)]


def _cells(row: Mapping[str, object]) -> list[str]:
    if not row["samples"]:
        return ["–", f"{row['quantity']}: {row['case']}", str(row["note"]), ""]
    value = value_text(row["value"], str(row["unit"]))
    spread = ""
    if row["samples"] != 1:
        least, most = (value_text(row[name], str(row["unit"])) for name in ("least", "most"))
        spread = f"{least} to {most}, {row['samples']} samples"
    quantity, compared = _what(row)
    return [ratio_text(row["ratio"]), f"{quantity}: {compared}", value, spread]


def _what(row: Mapping[str, object]) -> tuple[str, str]:
    compared = "" if pd.isna(row["ratio_to"]) else f" / {row['ratio_to']}"  # type: ignore[call-overload]
    return str(row["quantity"]), f"{row['case']}{compared}"


def ratio_text(ratio: object) -> str:
    """A ratio as people read it."""
    return "" if pd.isna(ratio) else f"{float(str(ratio)):.3g}"  # type: ignore[call-overload]


def value_text(value: object, unit: str) -> str:
    """A value with its unit as people read it."""
    number = float(str(value))
    if unit == "bytes":
        for factor, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
            if number >= factor:
                return f"{number / factor:.3g} {name}"
        return f"{number:.0f} bytes"
    if unit == "s" and number < 1:
        return f"{number * 1000:.3g} ms"
    return f"{number:.3g} {unit}" if number < 1000 else f"{number:.0f} {unit}"


def write_table(table: pd.DataFrame, head: Mapping[str, str], folder: Path) -> None:
    """Write the table twice: ``bench.csv`` and ``bench.txt``."""
    write_atomically(folder / "bench.csv", as_csv(table, head))
    write_atomically(folder / "bench.txt", as_text(table, head))
