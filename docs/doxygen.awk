# SPDX-License-Identifier: MIT OR Apache-2.0
# Makes comments for Doxygen out of the header's plain ones; only what Doxygen reads is changed.
#   /* text */ before a declaration      its documentation; a line "Status: ..." or the like begins a titled paragraph
#   declaration; /* text */              documentation of what precedes it
#   /* ---- title ---- ...               a page of its own: what holds for all that follows
#   lines indented by four more          shown as they are
{
    gsub(/\r$/, "")
}

!inside && /^\/\* ---- / {
    title = $0
    sub(/^\/\* ---- */, "", title)
    sub(/ *-*( *\*\/)?$/, "", title)
    printf "/** @page section_%d %s\n", ++sections, escape(title)
    inside = 1
    if ($0 ~ /\*\/$/) {
        print "*/"
        inside = 0
    }
    next
}

!inside && /^\/\* / {
    inside = 1
    printf "/** "
    sub(/^\/\* /, " * ")
}

inside {
    line = $0
    last = sub(/ *\*\/$/, "", line)
    sub(/^ \*/, "", line)
    if (line ~ /^     /) {
        if (!verbatim) {
            print "@verbatim"
        }
        verbatim = 1
        print line
    } else {
        if (verbatim) {
            print "@endverbatim"
        }
        verbatim = 0
        print paragraph(escape(line))
    }
    if (last) {
        print (verbatim ? "@endverbatim\n" : "") "*/"
        inside = verbatim = 0
    }
    next
}

/[;,}] +\/\* .* \*\/$/ || /^#define .*\/\* .* \*\/$/ {
    at = match($0, /\/\* [^*]*\*\/$/)
    if (at > 0) {
        text = substr($0, at + 3)
        sub(/ \*\/$/, "", text)
        $0 = substr($0, 1, at - 1) "/**< " escape(text) " */"
    }
}

{
    print
}

function escape(text) {
    gsub(/[\\@<>&#%]/, "\\\\&", text)
    return text
}

function paragraph(text) {
    if (text == "") {
        return ""
    }
    if (match(text, /^ (Shapes|Range|Status|Cost|Accuracy|Aliasing|Alignment|Threads|Source|Size|Damage|Capacity|Slack|Stack|Time)[^:.]*: /)) {
        return "\n@par " substr(text, 2, RLENGTH - 3) "\n" substr(text, RLENGTH + 1)
    }
    return text
}
