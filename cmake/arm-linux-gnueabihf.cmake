# SPDX-License-Identifier: MIT OR Apache-2.0
# Toolchain file: to 32-bit ARM with hard floats, where the library is scalar.
set(CMAKE_SYSTEM_PROCESSOR arm)
set(triple arm-linux-gnueabihf)
include(${CMAKE_CURRENT_LIST_DIR}/debian-cross.cmake)
