# SPDX-License-Identifier: MIT OR Apache-2.0
# The target PkgConfig::SLEEF: the library that SLEEF_LIBRARY names, else from pkg-config, where there is none from SLEEF's own
# package (since 3.6), or the library alone: of SLEEF's header nothing is used. Installed as logprobSleef.cmake, for those who
# link the static library.
if(NOT TARGET PkgConfig::SLEEF AND NOT SLEEF_LIBRARY)
  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND)
    pkg_check_modules(SLEEF QUIET IMPORTED_TARGET sleef)
  endif()
endif()
if(NOT TARGET PkgConfig::SLEEF)
  if(NOT SLEEF_LIBRARY)
    find_package(sleef CONFIG QUIET)
    if(TARGET sleef::sleef)
      set(SLEEF_LIBRARY sleef::sleef)
    else()
      find_library(SLEEF_LIBRARY sleef)
    endif()
  endif()
  if(SLEEF_LIBRARY)
    add_library(PkgConfig::SLEEF INTERFACE IMPORTED)
    target_link_libraries(PkgConfig::SLEEF INTERFACE ${SLEEF_LIBRARY})
  endif()
endif()
