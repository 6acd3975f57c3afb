# SPDX-License-Identifier: MIT OR Apache-2.0
# Toolchain file: to s390x, a big-endian CPU, where the library is scalar.
set(CMAKE_SYSTEM_PROCESSOR s390x)
set(triple s390x-linux-gnu)
include(${CMAKE_CURRENT_LIST_DIR}/debian-cross.cmake)
