# SPDX-License-Identifier: MIT OR Apache-2.0
# What `cmake --install` and cpack hand out: header, both libraries, CMake and pkg-config files, the command, man pages.
include(CMakePackageConfigHelpers)

# BUILD_SHARED_LIBS chooses what `logprob` is. An install has both kinds: the other one is linked from the same objects.
if(WIN32)
  option(LOGPROB_BOTH "Build the library of the other kind too, static or shared" OFF)
else()
  option(LOGPROB_BOTH "Build the library of the other kind too, static or shared" ${PROJECT_IS_TOP_LEVEL})
endif()
if(BUILD_SHARED_LIBS)
  set(kind shared)
  set(other_kind static)
else()
  set(kind static)
  set(other_kind shared)
endif()
set_target_properties(logprob PROPERTIES EXPORT_NAME ${kind})
set(kinds ${kind})
set(target_of_${kind} logprob)

if(LOGPROB_BOTH)
  string(TOUPPER ${other_kind} upper)
  add_library(logprob_${other_kind} ${upper} $<TARGET_OBJECTS:logprob>)
  target_include_directories(logprob_${other_kind} INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(logprob_${other_kind} PRIVATE PkgConfig::SLEEF $<$<NOT:$<PLATFORM_ID:Windows>>:m>)
  set_target_properties(logprob_${other_kind} PROPERTIES
    EXPORT_NAME ${other_kind}
    LINKER_LANGUAGE C
    OUTPUT_NAME logprob
    SOVERSION ${PROJECT_VERSION_MAJOR}
    VERSION ${PROJECT_VERSION})
  add_library(logprob::${other_kind} ALIAS logprob_${other_kind})
  list(APPEND kinds ${other_kind})
  set(target_of_${other_kind} logprob_${other_kind})
endif()

option(LOGPROB_INSTALL "Make install rules" ${PROJECT_IS_TOP_LEVEL})
if(NOT LOGPROB_INSTALL)
  return()
endif()

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/logprob)
foreach(each IN LISTS kinds)
  install(TARGETS ${target_of_${each}} EXPORT logprob-${each}
    RUNTIME COMPONENT library
    LIBRARY COMPONENT library NAMELINK_COMPONENT development
    ARCHIVE COMPONENT development)
  install(EXPORT logprob-${each} NAMESPACE logprob:: DESTINATION ${config_dir} COMPONENT development)
endforeach()
install(FILES include/logprob.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)

configure_package_config_file(cmake/logprobConfig.cmake.in logprobConfig.cmake INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file(logprobConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/logprobConfig.cmake ${PROJECT_BINARY_DIR}/logprobConfigVersion.cmake
  DESTINATION ${config_dir} COMPONENT development)
install(FILES cmake/sleef.cmake DESTINATION ${config_dir} COMPONENT development RENAME logprobSleef.cmake)

# The .pc file finds its prefix from where it lies, so that `cmake --install --prefix` may move the tree.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(pc_prefix ${CMAKE_INSTALL_PREFIX})
  set(pc_libdir ${CMAKE_INSTALL_FULL_LIBDIR})
  set(pc_includedir ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
  file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
  string(REGEX REPLACE "/$" "" up "${up}")
  set(pc_prefix "\${pcfiledir}/${up}")
  set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
# Programs that link the static library need SLEEF: from pkg-config, where that is what was found.
set(pc_requires_private sleef)
set(pc_libs_private -lm)
if(TARGET "${SLEEF_LIBRARY}")
  set(pc_requires_private "")
  set(pc_libs_private "-lsleef -lm")
elseif(SLEEF_LIBRARY)
  set(pc_requires_private "")
  set(pc_libs_private "${SLEEF_LIBRARY} -lm")
endif()
configure_file(cmake/logprob.pc.in logprob.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/logprob.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

install(FILES docs/logprob.3 DESTINATION ${CMAKE_INSTALL_MANDIR}/man3 COMPONENT development)
install(FILES LICENSE LICENSE-MIT LICENSE-APACHE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT library)

if(PROJECT_IS_TOP_LEVEL)
  include(cmake/package.cmake)
endif()
