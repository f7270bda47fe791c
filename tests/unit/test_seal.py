# SPDX-License-Identifier: GPL-2.0-only
"""A table that was changed after it was made is refused, whatever was changed and by whom."""

import random
import re
from pathlib import Path

import pyarrow  # type: ignore[import-untyped]
import pyarrow.compute  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]
import pytest
from benchmarks.synthetic.trials import made_metadata, made_runs, made_trials

from carveout.common.errors import CarveoutError
from carveout.common.files import sha256_of
from carveout.tables import seal
from carveout.tables.parquet import read_metadata, read_table, write_table


@pytest.fixture
def path(tmp_path: Path) -> Path:
    written = tmp_path / "trials.parquet"
    write_table("trials", made_trials(), written, made_metadata())
    return written


def edit(path: Path) -> None:
    """Adds a nanosecond to each lend, and leaves all metadata, the seal included."""
    rows = pyarrow.parquet.read_table(path)
    place = rows.column_names.index("lend_ns")
    more = pyarrow.compute.add(rows["lend_ns"], 1)
    edited = rows.set_column(place, rows.schema.field(place), more)
    pyarrow.parquet.write_table(edited.replace_schema_metadata(rows.schema.metadata), path)


def test_a_row_edited_with_its_digest_left_is_refused_by_every_reader(path: Path) -> None:
    seal.check_seal(path)
    edit(path)
    for read in (
        lambda: read_table("trials", path),
        lambda: read_table("trials", path, ["seed"], {"strategy": "cma"}),
        lambda: read_metadata(path),
    ):
        with pytest.raises(CarveoutError, match=r"trials\.parquet.*changed afterwards; remove"):
            read()
    with pytest.raises(CarveoutError, match="changed afterwards"):
        seal.refuse_edited(path.parent)


def test_any_bit_of_the_file_counts(path: Path) -> None:
    whole = path.read_bytes()
    generator = random.Random(1)
    # The last bytes are the footer, in which metadata, the schema and the seal itself are.
    places = [*generator.sample(range(len(whole)), 40), *range(len(whole) - 12, len(whole))]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(CarveoutError, match="changed afterwards"):
            seal.check_seal(path)


def test_a_forged_second_seal_does_not_help(path: Path) -> None:
    rows = pyarrow.parquet.read_table(path)
    forged = rows.schema.metadata | {b"other": b"\x18\x04seal\x18@" + b"0" * 64}
    pyarrow.parquet.write_table(rows.replace_schema_metadata(forged), path)
    with pytest.raises(CarveoutError, match="whose seal is missing"):
        seal.check_seal(path)


def test_rows_cut_off_or_no_seal_at_all_are_refused(path: Path) -> None:
    rows = pyarrow.parquet.read_table(path)
    for kept in (rows.slice(1), rows.replace_schema_metadata({"tables_version": "12"})):
        pyarrow.parquet.write_table(kept, path)
        with pytest.raises(CarveoutError, match="changed afterwards"):
            read_table("trials", path)
    seal.refuse_edited(path.parent)  # the last has no seal: as of an older version


def test_another_table_under_an_old_digest_is_refused(path: Path) -> None:
    digest = path.with_suffix(".sha256")
    digest.write_text(f"{sha256_of(path)}\n")
    read_table("trials", path)
    write_table("trials", made_trials(3), path)
    with pytest.raises(CarveoutError, match=r"trials\.sha256 beside it has the sha256"):
        read_table("trials", path)


def test_a_written_table_is_sealed_and_reading_its_metadata_leaves_the_seal_out(
    path: Path, tmp_path: Path
) -> None:
    assert "seal" not in read_metadata(path)
    write_table("runs", made_runs(), tmp_path / "runs.parquet", read_metadata(path))
    seal.check_seal(tmp_path / "runs.parquet")


def test_nothing_else_of_the_package_reads_parquet() -> None:
    readers = re.compile(r"read_parquet|ParquetFile|parquet\.read_table|read_pandas|dataset\(")
    found = {
        path.name for path in Path("workflow").rglob("*.py") if readers.search(path.read_text())
    }
    assert found == {"parquet.py"}
