"""`find_package(fleming)` in an installed tree; the library in it is a stand-in."""

import subprocess
from pathlib import Path

import pytest
from program import ROOT

CONFIG = ROOT / "packaging" / "cmake"
PROGRAM = "int fleming_stand_in(void);\nint main(void) { return fleming_stand_in(); }\n"
PC = "Name: fleming\nVersion: {version}\nLibs: -L${{libdir}} -lfleming\nLibs.private: -lm -lpthread\n"


def installed(prefix: Path, version: str, libdir: str) -> Path:
    library = prefix / libdir
    config = prefix / "share/cmake/fleming"
    for folder in (library / "pkgconfig", config, prefix / "include"):
        folder.mkdir(parents=True)
    for file in CONFIG.iterdir():
        (config / file.name).write_text(file.read_text())
    (library / "pkgconfig/fleming.pc").write_text(PC.format(version=version))
    source = prefix / "stand_in.c"
    source.write_text(
        "#include <math.h>\nint fleming_stand_in(void) { volatile double x = 0; return sin(x); }\n"
    )
    subprocess.run(["gcc", "-shared", "-fPIC", source, "-o", library / "libfleming.so", "-lm"], check=True)
    subprocess.run(["gcc", "-c", source, "-o", prefix / "stand_in.o"], check=True)
    subprocess.run(["ar", "rcs", library / "libfleming.a", prefix / "stand_in.o"], check=True)
    return prefix


def configure(prefix: Path, work: Path, wanted: str) -> subprocess.CompletedProcess:
    (work / "program.c").write_text(PROGRAM)
    lists = (ROOT / "tests/dist/CMakeLists.txt").read_text()
    assert "find_package(fleming 0.1 REQUIRED)" in lists
    (work / "CMakeLists.txt").write_text(lists.replace("fleming 0.1", f"fleming {wanted}"))
    command = ["cmake", "-S", work, "-B", work / "build", f"-DCMAKE_PREFIX_PATH={prefix}"]
    command.append(f"-DPROGRAM={work / 'program.c'}")
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("libdir", ["lib", "lib64", "lib/x86_64-linux-gnu"])
def test_both_targets_link_wherever_the_library_is(tmp_path: Path, libdir: str) -> None:
    prefix = installed(tmp_path / "a place", "0.1.3", libdir)
    configured = configure(prefix, tmp_path, "0.1")
    assert configured.returncode == 0, configured.stderr
    subprocess.run(["cmake", "--build", tmp_path / "build"], check=True, capture_output=True)
    for program in ("shared", "static"):
        subprocess.run([tmp_path / "build" / program], check=True)


@pytest.mark.parametrize(
    ("version", "wanted", "found"),
    [
        ("0.1.3", "0.1.3", True),
        ("0.1.3", "0.1.4", False),
        ("0.1.3", "0.2", False),
        ("0.2.0", "0.1", False),
        ("1.4.0", "1.2", True),
        ("1.4.0", "0.9", False),
        ("2.0.0", "1.2", False),
        ("10.0.0", "1.2", False),
    ],
)
def test_a_version_that_was_built_against_is_found(
    tmp_path: Path, version: str, wanted: str, *, found: bool
) -> None:
    prefix = installed(tmp_path / "prefix", version, "lib")
    configured = configure(prefix, tmp_path, wanted)
    assert (configured.returncode == 0) == found, configured.stderr
    assert found or f"version: {version}" in configured.stderr
