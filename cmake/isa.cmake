# SPDX-License-Identifier: MIT OR Apache-2.0
# Adds the kernels of the ISAs that the target processor can have: one folder, one set of flags, one definition each.

function(logprob_add_isa target isa)
  target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src/${isa}/kernels.c)
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/${isa}/kernels.c
    TARGET_DIRECTORY ${target} PROPERTIES COMPILE_OPTIONS "${ARGN}")
  string(TOUPPER ${isa} upper)
  target_compile_definitions(${target} PRIVATE LP_HAVE_${upper})
endfunction()

function(logprob_add_isas target)
  string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" processor)
  if(APPLE AND CMAKE_OSX_ARCHITECTURES) # untried
    list(LENGTH CMAKE_OSX_ARCHITECTURES architectures)
    if(architectures GREATER 1)
      message(FATAL_ERROR "each ISA has a file of its own: build one architecture at a time and join them with lipo")
    endif()
    set(processor ${CMAKE_OSX_ARCHITECTURES})
  endif()
  if(WIN32 AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # MinGW's gcc does not align the stack for AVX (gcc bug 54412): scalar, or clang.
  elseif(processor MATCHES "^(x86_64|amd64)$")
    logprob_add_isa(${target} avx2 -mavx2 -mfma -mf16c)
    logprob_add_isa(${target} avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c
                    -mprefer-vector-width=512)
  elseif(processor MATCHES "^(aarch64|arm64)$")
    logprob_add_isa(${target} neon)
  endif()
endfunction()
