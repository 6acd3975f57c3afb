# SPDX-License-Identifier: MIT OR Apache-2.0
# Prints the sources of the library as one C file; called by amalgamate.sh, which says what is done to them.
#   shared: headers that are compiled once; files: the .c files of src; the input is the public header

/^#define LP_VERSION_(MAJOR|MINOR|PATCH) / { version = version (version == "" ? "" : ".") $3 }

END {
    sleef_text = expand("src/sleef.h", "shared") # declared before what is declared becomes hidden
    kernel_headers = expand("src/kernels.h", "shared")
    read_shared()
    read_unit("scalar", "src/scalar/kernels.c", "", "")
    read_unit("avx2", "src/avx2/kernels.c", "LP_HAVE_AVX2", "avx2,fma,f16c")
    read_unit("avx512", "src/avx512/kernels.c", "LP_HAVE_AVX512", "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
    read_unit("neon", "src/neon/kernels.c", "LP_HAVE_NEON", "")
    n = split(files, file, " ")
    for (i = 1; i <= n; i++) {
        name = file[i]
        gsub(/^src\/|\.c$/, "", name)
        read_unit(name, file[i], "", "")
    }
    print_head()
    printf "%s", kernel_headers shared_text
    for (i = 1; i <= units; i++) {
        print_unit(i)
    }
}

# ---- reading: the text of a unit, with the project's headers in place of their #include lines -----------------------

function read_shared(    n, i, header) {
    n = split(shared, header, " ")
    for (i = 1; i <= n; i++) {
        shared_text = shared_text expand(header[i], "shared")
        is_shared[header[i]] = 1
    }
}

function read_unit(name, path, condition, target) {
    unit_name[++units] = name
    unit_condition[units] = condition
    unit_target[units] = target
    unit_text[units] = expand(path, name)
    if (target != "") {
        unit_text[units] = inline_functions(kernel_headers, unit_text[units]) unit_text[units]
    }
    find_names(units)
}

# The inline functions of the headers that kernels include, those that `used` needs, once more, for a unit with another target
# than theirs: code of the least target between AVX instructions costs hundreds of cycles, half of the time of a row.
function inline_functions(headers, used,    lines, n, i, name, count, body, before, out) {
    n = split(headers, lines, "\n")
    for (i = 1; i <= n; i++) {
        if (lines[i] ~ /^static inline /) {
            name[++count] = lines[i]
            sub(/\(.*/, "", name[count])
            sub(/.*[ *]/, "", name[count])
        }
        if (name[count] != "") {
            body[count] = body[count] lines[i] "\n"
        }
        if (lines[i] == "}") {
            name[++count] = ""
        }
    }
    do { # an inline function may need others
        before = out
        out = ""
        for (i = 1; i <= count; i++) {
            if (name[i] != "" && (used before) ~ "[^A-Za-z0-9_]" name[i] "\\(") {
                out = out body[i]
            }
        }
    } while (out != before)
    return "\n/* ---- the inline functions of the headers above */\n" out
}

function path_of(include, path) {
    path = include
    gsub(/^#include "|"$/, "", path)
    return "src/" path
}

# One file, once in each unit. Licence line, include guard and #include lines stay out.
function expand(path, unit,    line, text, guarded, n, i, lines) {
    if ((unit, path) in expanded || path in is_shared || path == "src/logprob.h") {
        return ""
    }
    expanded[unit, path] = 1
    while ((getline line < path) > 0) {
        lines[++n] = line
    }
    close(path)
    if (n == 0) {
        print "amalgamate: " path " cannot be read" > "/dev/stderr"
        exit 1
    }
    for (i = 1; i <= n; i++) {
        line = lines[i]
        if (line ~ /SPDX-License-Identifier/ || line ~ /clang-format (on|off)/) {
            continue
        } else if (line ~ /^#ifndef LP_[A-Z0-9_]*_H$/ && lines[i + 1] == "#define " substr(line, 9)) {
            guarded = 1
            i++
        } else if (guarded && i == n) {
            continue
        } else if (line ~ /^#include "/) {
            text = text expand(path_of(line), unit)
        } else if (line ~ /^#include <(cpuid|fenv)\.h>$/) { # what only some machines have, where it stands
            text = text line "\n"
        } else if (line ~ /^#include </) {
            system_header[line] = 1
        } else {
            text = text line "\n"
        }
    }
    return "\n/* ---- " path " */\n" text
}

# ---- names: what a unit defines at file scope ------------------------------------------------------------------------

function define(unit, name) {
    if (name != "" && !((unit, name) in defines)) {
        defines[unit, name] = 1
        defined[unit] = defined[unit] " " name
        users[name]++
    }
}

function find_names(unit,    lines, n, i, line, text, word) {
    n = split(unit_text[unit], lines, "\n")
    for (i = 1; i <= n; i++) {
        line = lines[i]
        if (line ~ /^#define /) {
            split(substr(line, 9), word, /[ (]/)
            macros[unit] = macros[unit] " " word[1]
        }
        while (line ~ /^#.*\\$/ || (line ~ /\\$/ && continued)) {
            continued = 1
            line = lines[++i]
        }
        if (continued || line ~ /^#/) {
            continued = 0
            continue
        }
        text = text line "\n"
    }
    find_declarations(unit, without_comments(text))
}

function without_comments(text,    out, at) {
    while ((at = index(text, "/*")) > 0) {
        out = out substr(text, 1, at - 1)
        text = substr(text, at + 2)
        text = substr(text, index(text, "*/") + 2)
    }
    out = out text
    gsub(/"([^"\\]|\\.)*"/, "\"\"", out)
    gsub(/__attribute__\(\([a-z_, ]*\)\)|_Atomic\([^)]*\)/, " ", out)
    gsub(/[ \n]+/, " ", out)
    return out
}

# A declaration ends at a semicolon outside of braces, a function at the brace that closes its body.
function find_declarations(unit, text,    n, part, i, depth, start, inside, c) {
    n = split(text, part, /[{};]/)
    for (i = 1; i <= n; i++) {
        at += length(part[i]) + 1
        c = substr(text, at, 1)
        if (depth == 0) {
            start = start part[i]
        } else {
            inside = inside part[i] " "
        }
        if (c == "{") {
            depth++
        } else if (c == "}") {
            depth--
            if (depth == 0 && start ~ /\)[ ]*$/ && start !~ /=/) {
                find_name(unit, start, "")
                start = inside = ""
            }
        } else if (c == ";" && depth == 0) {
            find_name(unit, start, inside)
            start = inside = ""
        }
    }
    at = 0
}

function find_name(unit, text, inside,    word, n, i) {
    sub(/^ +/, "", text)
    if (text ~ /^enum *$/) {
        n = split(inside, word, ",")
        for (i = 1; i <= n; i++) {
            sub(/=.*/, "", word[i])
            gsub(/[^A-Za-z0-9_]/, "", word[i])
            define(unit, word[i])
        }
        return
    }
    if (text !~ /^(static|LP_INLINE|typedef) / || text ~ /^typedef .*[a-z]\)\(/) {
        return
    }
    sub(/[=([].*/, "", text)
    gsub(/ +$/, "", text)
    n = split(text, word, /[ *]+/)
    define(unit, word[n])
}

# ---- writing ---------------------------------------------------------------------------------------------------------

function print_head(    header) {
    print "/* SPDX-License-Identifier: MIT OR Apache-2.0 */"
    print "/* logprob " version " in one file, made from its sources by scripts/amalgamate.sh: change those, not this."
    print " *"
    print " *     cc -O2 -c logprob.c         gcc 12 or clang 14, or later; link with -lsleef -lm"
    print " *"
    print " * It has every kernel of the processor it is compiled for, each under its own target, and chooses at run time. The bits of"
    print " * the results are a promise: no -ffast-math (an error), nor with clang -ffp-contract=fast (which nothing here can see). */"
    print "#ifdef __FAST_MATH__ /* asked here: gcc takes the pragma below for its end */"
    print "#error \"logprob must not be compiled with -ffast-math\"\n#endif\n#include \"logprob.h\""
    for (header in system_header) {
        if (header !~ /immintrin|arm_neon/) {
            sorted[++headers] = header
        }
    }
    sort_headers()
    print "\n/* gcc does not align the stack for AVX on Windows (its bug 54412) */"
    print "#if defined(__x86_64__) && (!defined(_WIN32) || defined(__clang__))\n#define LP_HAVE_AVX2\n#define LP_HAVE_AVX512\n#include <immintrin.h>"
    print "#elif defined(__aarch64__) && defined(__ARM_NEON)\n#define LP_HAVE_NEON\n#include <arm_neon.h>\n#endif"
    print "\n/* What the build of the project gives as flags: no product and sum becomes one operation unasked, loops are worked out"
    print " * as with -O3, and no name is exported but the header's. */"
    print "#if defined(__clang__)\n#pragma STDC FP_CONTRACT OFF"
    print "#elif defined(__GNUC__)\n#pragma GCC optimize(\"fp-contract=off\")"
    print "#ifdef __OPTIMIZE__\n#pragma GCC optimize(\"O3\")\n#endif\n#endif"
    printf "%s", sleef_text
    print "\n#if !defined(_WIN32)\n#pragma GCC visibility push(hidden)\n#endif"
}

function sort_headers(    i, j, swap) {
    for (i = 1; i <= headers; i++) {
        for (j = i + 1; j <= headers; j++) {
            if (sorted[j] < sorted[i]) {
                swap = sorted[i]
                sorted[i] = sorted[j]
                sorted[j] = swap
            }
        }
        print sorted[i]
    }
}

function print_unit(unit,    name, n, i, target) {
    if (unit_condition[unit] != "") {
        print "\n#ifdef " unit_condition[unit]
    }
    n = split(defined[unit], name, " ")
    print ""
    for (i = 1; i <= n; i++) {
        if (users[name[i]] > 1) {
            print "#define " name[i] " " name[i] "_" unit_name[unit]
        }
    }
    target = unit_target[unit]
    if (target != "") {
        print "#if defined(__clang__)"
        print "#pragma clang attribute push(__attribute__((target(\"" target "\"))), apply_to = function)"
        if (target ~ /avx512/) { # clang does so unasked
            target = target ",prefer-vector-width=512"
        }
        print "#else\n#pragma GCC push_options\n#pragma GCC target(\"" target "\")\n#endif"
    }
    printf "%s", unit_text[unit]
    if (target != "") {
        print "#if defined(__clang__)\n#pragma clang attribute pop\n#else\n#pragma GCC pop_options\n#endif"
    }
    for (i = 1; i <= n; i++) {
        if (users[name[i]] > 1) {
            print "#undef " name[i]
        }
    }
    n = split(macros[unit], name, " ")
    for (i = 1; i <= n; i++) {
        print "#undef " name[i]
    }
    if (unit_condition[unit] != "") {
        print "#endif"
    }
}
