# SPDX-License-Identifier: MIT OR Apache-2.0
# Toolchain file: an x86-64 build whose tests run under qemu, so that QEMU_CPU=Nehalem (no AVX) or Haswell (AVX2, no
# AVX-512) in the environment shows what the dispatch does there.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-x86_64)
