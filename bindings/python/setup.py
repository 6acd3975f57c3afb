# SPDX-License-Identifier: MIT OR Apache-2.0
"""Puts the shared library into the wheel: the one that LOGPROB_LIBRARY names, else one built here."""
from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1
    from wheel.bdist_wheel import bdist_wheel

SOURCES = Path(__file__).resolve().parents[2]
FILE = {"Windows": "logprob.dll", "Darwin": "liblogprob.dylib"}.get(platform.system(), "liblogprob.so")


def built_library() -> Path:
    """The shared library, built by CMake from the sources that this folder belongs to."""
    if shutil.which("cmake") is None:
        raise SystemExit("logprob: building the C library needs cmake, pkg-config and SLEEF (Debian: libsleef-dev)")
    build = Path("build", "library").resolve()
    off = [f"-DLOGPROB_{part}=OFF" for part in ("TESTS", "TOOLS", "EXAMPLES", "BOTH", "INSTALL")]
    subprocess.run(
        ["cmake", "-S", SOURCES, "-B", build, "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=ON", *off], check=True
    )
    subprocess.run(["cmake", "--build", build, "--config", "Release", "--parallel", "2"], check=True)
    return next(path for path in (build / FILE, build / "Release" / FILE) if path.exists())


if not (SOURCES / "include" / "logprob.h").exists():
    raise SystemExit("logprob: install from a checkout of the whole project: the C sources are not around this folder")


class BuildWithLibrary(build_py):
    def run(self) -> None:
        super().run()
        given = os.environ.get("LOGPROB_LIBRARY")
        package = Path(self.build_lib, "logprob")
        shutil.copyfile(given or built_library(), package / FILE)
        for licence in ("LICENSE-MIT", "LICENSE-APACHE"):
            shutil.copyfile(SOURCES / licence, package / licence)


class PlatformWheel(bdist_wheel):
    """For one platform, because of the library, but for any Python 3: the library knows nothing of Python."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


class WithLibrary(Distribution):
    def has_ext_modules(self) -> bool:
        return True


setup(distclass=WithLibrary, cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})
