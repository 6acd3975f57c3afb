# SPDX-License-Identifier: MIT OR Apache-2.0
# Warnings for every target of the project, and the floating-point rules that only the library needs.

function(logprob_warnings target)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:C>:-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes>
    $<$<AND:$<COMPILE_LANGUAGE:C>,$<BOOL:${LOGPROB_WERROR}>>:-Werror>)
endfunction()

# The bits are a promise: whatever flags the user sets, value-changing optimisation is switched off after them.
set(LOGPROB_FP_FLAGS -fno-fast-math -ffp-contract=off)

function(logprob_library_options target)
  logprob_warnings(${target})
  target_compile_options(${target} PRIVATE ${LOGPROB_FP_FLAGS})
endfunction()
