"""Makes `dist/fleming-VERSION-ARCH-linux.tar.gz`: what a product team unpacks, builds against and ships.

Run by `make dist` in the repository's root. Everything in the tarball finds everything else by its own
place, so the folder may lie anywhere. FFmpeg is inside the library (`ffmpeg.sh`), ONNX Runtime beside it.
"""

import argparse
import gzip
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import notices
from notices import Part, run

HERE = Path(__file__).parent
FFMPEG = Path("target/ffmpeg")
BUILT = Path("target/dist")
# What only the program has of the features.
SURFACES = {"cli", "server"}
# To be tried with what the README of the tarball says.
EXAMPLES = ("chest.png", "clip.mp4", "volume.npz", "chest_ct", "c", "cpp", "python")


def main() -> None:
    """Builds, lays out, packs, tells the sizes."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, default=Path("dist"), help="folder for the tarball")
    out = arguments.parse_args().out
    features = chosen_features()
    known = notices.metadata(features)
    own = next(package for package in known["packages"] if package["id"] == known["resolve"]["root"])
    private = build(features, own["version"])

    folder = out / f"fleming-{own['version']}-{platform.machine()}-linux"
    shutil.rmtree(folder, ignore_errors=True)
    lay_out(folder, own, private)
    parts = [*notices.crates(known), *others(known, folder / "share/doc/fleming")]
    (folder / "share/doc/fleming/THIRD-PARTY.txt").write_text(notices.third_party(parts))
    (folder / "share/doc/fleming/fleming.cdx.json").write_text(notices.bill_of_materials(own, parts, epoch()))

    tarball = pack(folder)
    sources = out / "sources"
    shutil.rmtree(sources, ignore_errors=True)
    sources.mkdir()
    for archive in ffmpeg_archives():
        shutil.copy2(archive, sources)
    library = shared(folder / "lib", own["version"])
    for file in (folder / "bin/fleming", library, folder / "lib/libfleming.a", tarball):
        print(f"{file.stat().st_size / 1e6:8.1f} MB  {file}")
    print(f"pass on {sources} with it: the source of the FFmpeg inside (LGPL 2.1)")


def chosen_features() -> list[str]:
    """Those of a plain build, with FFmpeg inside."""
    manifest = run("cargo", "metadata", "--locked", "--no-deps", "--format-version=1")
    default = json.loads(manifest)["packages"][0]["features"]["default"]
    return sorted({"video": "video-static"}.get(name, name) for name in default)


def soname(version: str) -> str:
    """The rule of cargo-c: while the version is 0.x, every 0.x breaks with the last."""
    major, minor, *_ = version.split(".")
    return f"libfleming.so.{major}" if major != "0" else f"libfleming.so.0.{minor}"


def shared(folder: Path, version: str) -> Path:
    """The shared library itself, which the shorter names are links to."""
    return folder / f"libfleming.so.{version}"


def build(features: list[str], version: str) -> str:
    """Builds the program and the library; returns the linker's flags for what the static library needs."""
    environment = os.environ | {"PKG_CONFIG_PATH": str((FFMPEG / "lib/pkgconfig").resolve())}
    cargo = ("--profile=dist", "--locked", "--no-default-features")
    # The program first: with it comes a library with the program's features, which the second replaces.
    command = ["cargo", "build", *cargo, "--bin=fleming", "--features", ",".join(features)]
    subprocess.run(command, env=environment, check=True)
    alone = ",".join(name for name in features if name not in SURFACES)
    command = ["cargo", "rustc", *cargo, "--lib", "--crate-type=cdylib,staticlib", "--features", alone, "--"]
    command += ["-Clink-arg=-Wl,-soname," + soname(version), "--print=native-static-libs"]
    # Cargo repeats what a finished build said, so the flags are there whether or not anything was left to do.
    told = subprocess.run(command, env=environment, check=False, stderr=subprocess.PIPE, text=True)
    sys.stderr.write(told.stderr)
    flags = re.search(r"native-static-libs: (.*)", told.stderr)
    if told.returncode != 0 or flags is None:
        raise SystemExit("the library was not built")
    if f"[{soname(version)}]" not in run("readelf", "-d", str(BUILT / "libfleming.so")):
        raise SystemExit(
            f"{BUILT / 'libfleming.so'}: wanted the soname {soname(version)}, got another or none"
        )
    return " ".join(dict.fromkeys(flags[1].split()))


def lay_out(folder: Path, own: dict, private: str) -> None:
    """The tree of the tarball, notices excepted."""
    version, lib = own["version"], folder / "lib"
    for name in ("bin", "lib/pkgconfig", "include", "share/cmake/fleming", "share/doc/fleming", "examples"):
        (folder / name).mkdir(parents=True)
    shutil.copy2(BUILT / "fleming", folder / "bin")
    library = shared(lib, version)
    shutil.copy2(BUILT / "libfleming.so", library)
    for name in (soname(version), "libfleming.so"):
        (lib / name).symlink_to(library.name)
    close_archive(BUILT / "libfleming.a", lib / "libfleming.a", exported(library))
    runtime = onnxruntime("capi/libonnxruntime.so.*")
    shutil.copy2(runtime, lib)
    (lib / "libonnxruntime.so").symlink_to(runtime.name)
    for header in ("fleming.h", "fleming.hpp"):
        shutil.copy2(Path("include", header), folder / "include")
    for file in (HERE / "cmake").iterdir():
        shutil.copy2(file, folder / "share/cmake/fleming")
    description = own["metadata"]["capi"]["pkg_config"]["description"]
    facts = {"VERSION": version, "PRIVATE": private, "DESCRIPTION": description}
    facts["GLIBC"] = glibc(lib, folder / "bin")
    write(HERE / "fleming.pc.in", lib / "pkgconfig/fleming.pc", facts)
    write(HERE / "README.md.in", folder / "README.md", facts)
    shutil.copytree("models/demo", folder / "models/demo")
    for name in EXAMPLES:
        copy = shutil.copytree if Path("examples", name).is_dir() else shutil.copy2
        if Path("examples", name).exists():
            copy(Path("examples", name), folder / "examples" / name)
    for name in ("LICENSE", "CHANGELOG.md"):
        shutil.copy2(name, folder / "share/doc/fleming")


def write(template: Path, to: Path, facts: dict[str, str]) -> None:
    """The template with its facts; one it does not know is an error."""
    to.write_text(re.sub(r"@([A-Z]+)@", lambda name: facts[name[1]], template.read_text()))


def exported(library: Path) -> list[str]:
    """The symbols that a shared library defines for others."""
    return [line.split()[-1] for line in run("nm", "-D", "--defined-only", str(library)).splitlines()]


def close_archive(archive: Path, to: Path, symbols: list[str]) -> None:
    """The static library as one object of which only these symbols are seen.

    Rust's own and FFmpeg's would clash with those of the next library that holds them.
    """
    whole = archive.with_suffix(".o")
    keep = archive.with_suffix(".symbols")
    keep.write_text("".join(f"{symbol}\n" for symbol in symbols))
    roots = [f"--undefined={symbol}" for symbol in symbols]
    run("ld", "-r", "--gc-sections", *roots, "-o", str(whole), str(archive))
    # With Rust's standard library comes the compiler's intermediate code, which other compilers stumble over.
    useless = ("--strip-debug", "--remove-section=.llvmbc", "--remove-section=.llvmcmd")
    run("objcopy", *useless, f"--keep-global-symbols={keep}", str(whole))
    to.unlink(missing_ok=True)
    run("ar", "rcsD", str(to), str(whole))


def glibc(*folders: Path) -> str:
    """The oldest glibc that has everything that the files of these folders import."""
    files = [file for folder in folders for file in folder.iterdir() if file.is_file()]
    files = [file for file in files if file.suffix != ".a"]
    found = re.findall(r"GLIBC_(\d+)\.(\d+)", "".join(run("objdump", "-T", str(file)) for file in files))
    major, minor = max((int(major), int(minor)) for major, minor in found)
    return f"{major}.{minor}"


def onnxruntime(pattern: str) -> Path:
    """A file of the `onnxruntime` wheel in this Python environment."""
    package = Path(importlib.metadata.distribution("onnxruntime").locate_file("onnxruntime"))
    found = list(package.glob(pattern))
    if len(found) != 1:
        raise SystemExit(f"{package}: wanted one {pattern}, got {found}")
    return found[0]


def ffmpeg_archives() -> list[Path]:
    """The source package that FFmpeg was built from."""
    return sorted(file for file in (FFMPEG / "source").iterdir() if file.is_file())


def others(known: dict, documents: Path) -> Iterator[Part]:
    """What is inside or beside the library and is no crate; longer notices go to files of their own."""
    source = next(path for path in (FFMPEG / "source").iterdir() if path.is_dir())
    description = next(archive for archive in ffmpeg_archives() if archive.suffix == ".dsc")
    version = re.search(r"^Version: (?:\d+:)?(\S+)", description.read_text(), re.MULTILINE)[1]
    made = (
        f"FFmpeg {version}, unchanged but for the patches of the source package, configured by\n"
        "packaging/ffmpeg.sh of fleming's source, without GPL and non-free parts. It is inside libfleming\n"
        "and the program. Its source is passed on with this archive; with it and fleming's source,\n"
        "`make dist` builds both anew."
    )
    terms = [made, (source / "COPYING.LGPLv2.1").read_text(), (source / "LICENSE.md").read_text()]
    yield Part("ffmpeg", version, "LGPL-2.1-or-later", "deb", "https://ffmpeg.org", terms)

    jpeg = vendored(known, "turbojpeg-sys") / "libjpeg-turbo"
    release = re.search(r"^set\(VERSION (\S+)\)", (jpeg / "CMakeLists.txt").read_text(), re.MULTILINE)[1]
    terms = [(jpeg / name).read_text() for name in ("LICENSE.md", "README.ijg")]
    licence = "IJG AND BSD-3-Clause AND Zlib"
    yield Part("libjpeg-turbo", release, licence, "generic", "https://libjpeg-turbo.org", terms)

    compiler = run("rustc", "--version").split()[1]
    texts = Path(run("rustc", "--print", "sysroot").strip(), "share/doc/rust/COPYRIGHT-library.html")
    if not texts.is_file():
        fault = f"{texts}: wanted the notices of Rust's standard library (rustup component add rust-docs)"
        raise SystemExit(fault)
    shutil.copy2(texts, documents / "rust-std.html")
    terms = ["Its notices: rust-std.html."]
    yield Part("rust-std", compiler, "MIT OR Apache-2.0", "generic", "https://www.rust-lang.org", terms)

    for name in ("LICENSE", "ThirdPartyNotices.txt"):
        shutil.copy2(onnxruntime(name), documents / f"onnxruntime-{name.removesuffix('.txt')}.txt")
    terms = ["Its notices: onnxruntime-LICENSE.txt and onnxruntime-ThirdPartyNotices.txt."]
    version = importlib.metadata.version("onnxruntime")
    yield Part("onnxruntime", version, "MIT", "pypi", "https://onnxruntime.ai", terms)


def vendored(known: dict, crate: str) -> Path:
    """The folder of a crate's source."""
    manifests = [package["manifest_path"] for package in known["packages"] if package["name"] == crate]
    return Path(manifests[0]).parent


def epoch() -> int:
    """The time that files are given: that of the last commit, so that two builds of it are the same."""
    return int(os.environ.get("SOURCE_DATE_EPOCH") or run("git", "log", "-1", "--format=%ct"))


def pack(folder: Path) -> Path:
    """The folder as a tarball beside it, files in order and nobody's."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = epoch(), 0, 0, "", ""
        entry.mode = 0o755 if entry.mode & 0o100 else 0o644
        return entry

    path = folder.with_name(folder.name + ".tar.gz")
    with (
        gzip.GzipFile(path, "wb", mtime=epoch()) as packed,
        tarfile.open(fileobj=packed, mode="w") as tarball,
    ):
        tarball.add(folder, folder.name, recursive=False, filter=plain)
        for file in sorted(folder.rglob("*")):
            tarball.add(file, str(file.relative_to(folder.parent)), recursive=False, filter=plain)
    return path


if __name__ == "__main__":
    main()
