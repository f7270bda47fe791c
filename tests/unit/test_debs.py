# SPDX-License-Identifier: GPL-2.0-only
"""The archive: what is cached needs no network, and every way it can fail names file and pin.

A small archive on disk stands for Debian's: signed, and found by way of the host's apt.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from carveout.archive import apt, debs
from carveout.archive.apt import UnreachableError, asked
from carveout.archive.debs import GoneError
from carveout.archive.package import Package
from carveout.common.errors import CarveoutError
from carveout.common.files import sha256_of
from tests.unit.made_archive import Archive, SigningKey, configure_host, served, update_host
from tests.unit.made_packages import made_deb

pytestmark = pytest.mark.usefixtures("cache")


def downloaded(cache: Path) -> list[str]:
    """The names of all that was kept of downloads."""
    folder = cache / "archive"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def identities(found: list[Package]) -> set[tuple[str, str, str, str, tuple[str, ...]]]:
    """What packages are, whoever asks for them."""
    return {(p.name, p.version, p.architecture, p.sha256, p.suites) for p in found}


def test_fetches_once_and_then_needs_no_archive(archive: Archive, cache: Path) -> None:
    package = archive.add("tool", "1.0-1")
    archive.publish()
    (deb,) = debs.fetch([package])
    assert deb == cache / f"archive/{package.sha256}.deb"
    archive.vanish()
    assert debs.fetch([package]) == [deb]


def test_fetches_packages_for_all_architectures(archive: Archive) -> None:
    wanted = [
        archive.add("headers", "1", "all"),
        archive.add("image", "1:2~rc1-1"),
        archive.add("tool", "3+b1", "amd64"),
    ]
    archive.publish()
    assert [sha256_of(deb) for deb in debs.fetch(wanted)] == [p.sha256 for p in wanted]


def test_archive_on_http_that_refuses_does_not_answer_and_is_asked_once(
    archive: Archive, host: Path, signing_key: SigningKey
) -> None:
    there, other = archive.add("tool", "1"), archive.add("other", "2")
    archive.publish()
    with served(archive.root) as address:
        configure_host(host, address, signing_key.keyring)
        update_host()
        (deb,) = debs.fetch([there])
    assert sha256_of(deb) == there.sha256
    asked.cache_clear()
    errors = []
    for attempt in (debs.fetch, debs.newest):
        with pytest.raises(
            UnreachableError, match=r"suite made does not answer: .*connect"
        ) as error:
            attempt([other])
        errors.append(error.value)
    assert errors[0] is errors[1]
    assert "\n" not in str(errors[0])


def test_archive_whose_name_nobody_knows_does_not_answer(
    archive: Archive, host: Path, signing_key: SigningKey
) -> None:
    package = archive.add("tool", "1")
    configure_host(host, "http://nosuch.invalid/debian", signing_key.keyring)
    with pytest.raises(UnreachableError, match="suite made does not answer") as error:
        debs.fetch([package])
    assert "\n" not in str(error.value)


def test_archive_behind_a_proxy_that_cannot_reach_it_does_not_answer(
    archive: Archive, host: Path, signing_key: SigningKey
) -> None:
    package = archive.add("tool", "1")
    archive.publish()
    with served(archive.root, status=503) as address:
        configure_host(host, address, signing_key.keyring)
        with pytest.raises(UnreachableError, match="503"):
            debs.fetch([package])


def test_archive_in_a_folder_that_is_away_does_not_answer(archive: Archive, host: Path) -> None:
    package = archive.add("tool", "1")
    archive.publish()
    archive.vanish()
    with pytest.raises(UnreachableError, match="suite made does not answer"):
        debs.fetch([package])
    asked.cache_clear()
    shutil.rmtree(host / "lists")
    with pytest.raises(UnreachableError, match="suite made does not answer"):
        debs.fetch([package])


def test_host_whose_lists_were_removed_finds_the_mirror(archive: Archive, host: Path) -> None:
    package = archive.add("tool", "1")
    archive.publish()
    shutil.rmtree(host / "lists")
    (deb,) = debs.fetch([package])
    assert sha256_of(deb) == package.sha256


def test_another_source_of_the_host_that_is_broken_stops_nobody(
    archive: Archive, host: Path
) -> None:
    package = archive.add("tool", "1")
    archive.publish()
    shutil.rmtree(host / "lists")
    with (host / "sources.list").open("a") as stream:
        stream.write("deb file:/nosuch somebody main\n")
    (deb,) = debs.fetch([package])
    assert sha256_of(deb) == package.sha256


def test_of_many_packages_the_one_that_vanished_is_named(archive: Archive, cache: Path) -> None:
    there = archive.add("tool", "1.0-1")
    gone = replace(archive.add("other", "2-1"), version="1-1", sha256="0" * 64)
    archive.publish()
    with pytest.raises(GoneError, match=r"^other 1-1 \(pins.yaml: other\) is gone from suite made"):
        debs.fetch([there, gone])
    assert downloaded(cache) == []


def test_another_file_under_the_same_version_is_refused(archive: Archive, cache: Path) -> None:
    package = replace(archive.add("tool", "1.0-1"), sha256="0" * 64)
    archive.publish()
    with pytest.raises(
        CarveoutError, match=r"another tool 1.0-1 \(pins.yaml.*make relock"
    ) as error:
        debs.fetch([package])
    assert not isinstance(error.value, GoneError)
    assert downloaded(cache) == []


def test_file_that_is_not_what_the_signed_index_says_is_refused(
    archive: Archive, cache: Path
) -> None:
    package = archive.add("tool", "1.0-1")
    archive.publish()
    (deb,) = archive.root.glob("tool_*.deb")
    deb.write_bytes(deb.read_bytes().replace(b"1.0-1", b"6.6-6"))
    with pytest.raises(CarveoutError, match="Hash Sum mismatch") as error:
        debs.fetch([package])
    assert not isinstance(error.value, GoneError | UnreachableError)
    assert downloaded(cache) == []


@pytest.mark.parametrize("lists", ["of this archive", "none"])
@pytest.mark.parametrize("wrong", ["another key", "another text", "no signature"])
def test_wrong_signature_is_named_and_nothing_is_taken(
    archive: Archive, other_key: SigningKey, cache: Path, wrong: str, lists: str
) -> None:
    archive.add("tool", "1")
    archive.publish()
    if lists == "of this archive":
        debs.newest([Package("tool", "0", "arm64", "", ("made",))])
    newer = archive.add("tool", "2")
    match wrong:
        case "another key":
            archive.key = other_key
            archive.publish()
        case "another text":
            archive.publish()
            archive.tamper()
        case "no signature":
            archive.publish()
            archive.unsign()
    for attempt in (debs.fetch, debs.newest):
        with pytest.raises(CarveoutError, match="sign") as error:
            attempt([newer])
        assert not isinstance(error.value, GoneError | UnreachableError)
        assert "\n" not in str(error.value)
    assert downloaded(cache) == []


def test_dependencies_are_resolved_in_the_suite_alone(archive: Archive) -> None:
    base = archive.add("base", "1:2-1")
    library = archive.add("library", "3", depends="base (>= 1:1)")
    archive.add("unwanted", "4")
    program = archive.add("program", "5", depends="library | unwanted")
    archive.publish()
    found = debs.with_dependencies(program)
    assert found[0] == program
    assert identities(found) == identities([base, library, program])


def test_dependencies_of_a_package_that_only_the_cache_has_are_the_suites(archive: Archive) -> None:
    library = archive.add("library", "3")
    program = archive.add("program", "5", depends="library")
    archive.publish()
    debs.fetch([program])
    archive.drop(program)
    archive.add("program", "6", depends="other")
    archive.publish()
    assert identities(debs.with_dependencies(program)) == identities([library, program])


def test_program_that_depends_on_nothing_is_alone(archive: Archive) -> None:
    program = archive.add("program", "5", "amd64")
    archive.publish()
    assert debs.with_dependencies(program) == [program]


def test_dependency_that_the_suite_has_not_is_one_line(archive: Archive) -> None:
    program = archive.add("program", "5", depends="library")
    archive.publish()
    with pytest.raises(CarveoutError, match=r"could not .*apt-get install") as error:
        debs.with_dependencies(program)
    assert "\n" not in str(error.value)


def test_unpacks_over_each_other(archive: Archive, tmp_path: Path) -> None:
    wanted = [archive.add("tool", "1"), archive.add("other", "2")]
    archive.publish()
    debs.unpack(debs.fetch(wanted), tmp_path / "folder")
    assert (tmp_path / "folder/version").read_text() == "2"


def test_libraries_of_older_suites_lie_where_newer_ones_have_them(tmp_path: Path) -> None:
    package = made_deb(tmp_path, "old", {"lib/one/a.so": b"a", "usr/lib/one/b.so": b"b"})
    debs.unpack(debs.fetch([package]), tmp_path / "folder")
    assert not (tmp_path / "folder/lib").exists()
    assert sorted(path.name for path in (tmp_path / "folder/usr/lib/one").iterdir()) == [
        "a.so",
        "b.so",
    ]


def test_newest_is_of_the_same_series_and_flavour(archive: Archive) -> None:
    archive.add("linux-image-6.12.9+deb13-arm64", "6.12.9-1")
    wanted = archive.add("linux-image-6.12.10+deb13-arm64", "6.12.10-1")
    archive.add("linux-image-6.12.11+deb13-rt-arm64", "6.12.11-1")
    archive.add("linux-image-6.12.11+deb13-arm64-dbg", "6.12.11-1")
    archive.add("linux-image-6.12.11+deb13-arm64", "6.12.11-1", "amd64")
    archive.add("linux-image-6.13.1+deb13-arm64", "6.13.1-1")
    archive.add("linux-image-6.120.1+deb13-arm64", "6.120.1-1")
    archive.publish()
    gone = Package("linux-image-6.12.8-arm64", "6.12.8-1", "arm64", "0" * 64, ("made",))
    assert identities(debs.newest([gone])) == identities([wanted])


@pytest.mark.parametrize(
    ("pinned", "there"),
    [
        ("linux-headers-6.12.9+deb13-common", "linux-headers-6.12.10+deb13-common"),
        ("linux-kbuild-6.12.9+deb13", "linux-kbuild-6.12.10+deb13"),
        ("linux-image-6.1.0-9-arm64", "linux-image-6.1.0-42-arm64"),
        ("linux-image-6.12.9+bpo-cloud-arm64", "linux-image-6.12.10+bpo-cloud-arm64"),
        ("linux-source-6.12", "linux-source-6.12"),
        ("qemu-system-arm", "qemu-system-arm"),
    ],
)
def test_newest_follows_the_name(archive: Archive, pinned: str, there: str) -> None:
    archive.add(there, "9.9-1")
    newer = archive.add(there, "10-1")
    archive.publish()
    old = Package(pinned, "9-1", "arm64", "0" * 64, ("made",), newer.pin)
    assert debs.newest([old]) == [newer]


def test_version_that_the_whole_series_lacks_is_said(archive: Archive) -> None:
    archive.publish()
    gone = Package("tool", "1", "arm64", "0" * 64, ("made",), "pins.yaml: tool")
    with pytest.raises(GoneError, match=r"^tool 1 \(pins.yaml: tool\) is in none of .*made, nor"):
        debs.newest([gone])


def test_newest_from_the_cache_is_for_who_asks_for_it(archive: Archive) -> None:
    package = archive.add("tool", "1")
    archive.publish()
    debs.fetch([package])
    archive.vanish()
    assert debs.newest([replace(package, version="2")], offline=True) == [package]
    with pytest.raises(UnreachableError):
        debs.newest([package])


def test_tool_is_taken_from_the_cache_in_any_version(archive: Archive) -> None:
    old = archive.add("tool", "1~rc1", "amd64")
    archive.publish()
    assert debs.newest_of("tool", "amd64", ["made"], "pins.yaml: tool") == old
    debs.fetch([old])
    archive.add("tool", "2", "amd64")
    archive.publish()
    assert debs.newest_of("tool", "amd64", ["made"], "pins.yaml: tool") == old
    archive.vanish()
    assert debs.newest_of("tool", "amd64", ["made"], "pins.yaml: tool") == old


def test_tool_that_the_cache_has_not_is_the_newest(archive: Archive) -> None:
    archive.add("tool", "1:1", "amd64")
    wanted = archive.add("tool", "1:10", "amd64")
    archive.add("tool", "1:9", "amd64")
    archive.publish()
    assert debs.newest_of("tool", "amd64", ["made"], "pins.yaml: tool") == wanted


def test_of_cached_tools_the_newest_of_these_suites_is_taken(tmp_path: Path) -> None:
    made_deb(tmp_path, "tool", {"f": b"1"}, version="9", architecture="amd64")
    wanted = made_deb(tmp_path, "tool", {"f": b"2"}, version="10", architecture="amd64")
    made_deb(tmp_path, "tool", {"f": b"3"}, version="11")
    lost = made_deb(tmp_path, "tool", {"f": b"4"}, version="12", architecture="amd64")
    (deb,) = debs.fetch([lost])
    deb.unlink()
    assert debs.newest_of("tool", "amd64", ["made"], wanted.pin) == wanted


def test_cached_package_whose_note_is_damaged_is_as_if_not_there(tmp_path: Path) -> None:
    wanted = made_deb(tmp_path, "tool", {"f": b"1"}, version="9", architecture="amd64")
    damaged = made_deb(tmp_path, "tool", {"f": b"2"}, version="10", architecture="amd64")
    (deb,) = debs.fetch([damaged])
    for content in ("", "{", "[]", "{}"):
        deb.with_suffix(".json").write_text(content)
        assert debs.newest_of("tool", "amd64", ["made"], wanted.pin) == wanted, content


def test_unknown_suite_is_one_line(archive: Archive) -> None:
    package = replace(archive.add("tool", "1"), sha256="0" * 64, suites=("nosuch",))
    archive.publish()
    with pytest.raises(CarveoutError, match="nosuch") as error:
        debs.fetch([package])
    assert "\n" not in str(error.value)


def test_unknown_suite_of_a_server_that_answers_is_no_outage(
    archive: Archive, host: Path, signing_key: SigningKey
) -> None:
    package = replace(archive.add("tool", "1"), sha256="0" * 64, suites=("nosuch",))
    archive.publish()
    with served(archive.root) as address:
        configure_host(host, address, signing_key.keyring)
        with pytest.raises(CarveoutError, match="nosuch") as error:
            debs.fetch([package])
    assert not isinstance(error.value, UnreachableError)


def test_missing_keyring_names_the_package_to_install(archive: Archive, host: Path) -> None:
    package = archive.add("tool", "1")
    archive.publish()
    configuration = (host / "apt.conf").read_text()
    keyring = str(archive.key.keyring)
    (host / "apt.conf").write_text(
        configuration.replace(f'Keyring "{keyring}"', 'Keyring "/nosuch.gpg"')
    )
    with pytest.raises(CarveoutError, match=r"^/nosuch.gpg is missing; install .*-keyring$"):
        debs.fetch([package])


def test_host_whose_apt_knows_no_debian_is_told(archive: Archive, host: Path) -> None:
    package = archive.add("tool", "1")
    archive.publish()
    (host / "sources.list").write_text("")
    with pytest.raises(CarveoutError, match="no mirror of Debian, wanted for suite made; name one"):
        debs.fetch([package])


def test_security_updates_come_from_their_own_mirror(archive: Archive) -> None:
    package = replace(archive.add("tool", "1"), sha256="0" * 64, suites=("made-security",))
    archive.publish()
    with pytest.raises(CarveoutError, match="no mirror of Debian-Security, wanted for suite made-"):
        debs.fetch([package])


def test_debians_keys_are_the_systems_or_else_the_tools(
    tmp_path: Path, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.mkdir()
    (host / "apt.conf").write_text("")
    system, tools = (tmp_path / name / "debian-archive-keyring.gpg" for name in ("system", "tools"))
    monkeypatch.setattr(apt, "_KEYRINGS", (system.parent, tools.parent))
    assert apt._keyring() == system, "is named where there is none"
    for keyring in (tools, system):
        keyring.parent.mkdir()
        keyring.touch()
        assert apt._keyring() == keyring
