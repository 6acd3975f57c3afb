# SPDX-License-Identifier: MIT OR Apache-2.0
# Toolchain file: to AArch64.
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(triple aarch64-linux-gnu)
include(${CMAKE_CURRENT_LIST_DIR}/debian-cross.cmake)
