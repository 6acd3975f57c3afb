# SPDX-License-Identifier: MIT OR Apache-2.0
# Warnings for every target of the project, and the floating-point rules that only the library needs.

# The bits are a promise: whatever flags the user sets, value-changing optimisation is switched off after them.
if(CMAKE_C_COMPILER_FRONTEND_VARIANT STREQUAL "MSVC") # clang-cl; untried
  set(LOGPROB_WARNINGS /W4)
  set(LOGPROB_WARNINGS_ERROR /WX)
  set(LOGPROB_FP_FLAGS /fp:precise /clang:-ffp-contract=off)
else()
  set(LOGPROB_WARNINGS -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes)
  set(LOGPROB_WARNINGS_ERROR -Werror)
  set(LOGPROB_FP_FLAGS -fno-fast-math -ffp-contract=off)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^s390") # where gcc computes float in double with -std=c11
    list(APPEND LOGPROB_FP_FLAGS -fexcess-precision=fast)
  endif()
endif()

function(logprob_warnings target)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:C>:${LOGPROB_WARNINGS}>
    $<$<AND:$<COMPILE_LANGUAGE:C>,$<BOOL:${LOGPROB_WERROR}>>:${LOGPROB_WARNINGS_ERROR}>)
endfunction()

function(logprob_library_options target)
  logprob_warnings(${target})
  target_compile_options(${target} PRIVATE ${LOGPROB_FP_FLAGS})
endfunction()
