# SPDX-License-Identifier: MIT OR Apache-2.0
# What the toolchain files TRIPLE.cmake share, which set CMAKE_SYSTEM_PROCESSOR and the triple: from any Debian, with gcc, or with
# clang where the caller names it as the compiler. Programs that the build runs (tests) run under qemu; QEMU_CPU in the
# environment chooses the CPU model.
set(CMAKE_SYSTEM_NAME Linux)
foreach(language C CXX)
  set(CMAKE_${language}_COMPILER_TARGET ${triple})
endforeach()
if(NOT CMAKE_C_COMPILER)
  set(CMAKE_C_COMPILER ${triple}-gcc)
endif()
if(CMAKE_C_COMPILER MATCHES "clang")
  set(CMAKE_CXX_COMPILER clang++)
else()
  set(CMAKE_CXX_COMPILER ${triple}-g++)
endif()
set(CMAKE_LIBRARY_ARCHITECTURE ${triple})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-${CMAKE_SYSTEM_PROCESSOR})
# Without this, pkg-config answers with the libraries of the machine that builds.
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/${triple}/pkgconfig:/usr/share/pkgconfig)
