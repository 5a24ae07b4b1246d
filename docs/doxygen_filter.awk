# awk -f doxygen_filter.awk HEADER: the header as doxygen reads it. The headers have plain // comments:
#   a block before a declaration          becomes ///
#   a comment after a member             becomes ///<, with the lines that continue it in the same column
#   the block at the top of a file        becomes the \file comment, of nibble.h also the main page
#   lines of a block that are indented    become verbatim, as they are lists, layouts and snippets
# Other comments stay what they are: headings, blocks before an empty line, and those after preprocessor lines.
function is_comment(i) { return line[i] ~ /^ *\/\// }

function body(i,   text) {
  text = line[i]
  sub(/^ *\/\/ ?/, "", text)
  return text
}

# Text without characters that doxygen reads as commands, tags or links; `words` become code.
function escaped(text) {
  gsub(/[\\@<>&#%"]/, "\\\\&", text)
  while (match(text, /`[^`]+`/)) {
    text = substr(text, 1, RSTART - 1) "<tt>" substr(text, RSTART + 1, RLENGTH - 2) "</tt>" \
           substr(text, RSTART + RLENGTH)
  }
  return text
}

# Lines first to last as a documentation block that begins with `head`.
function emit_block(first, last, head,   i, verbatim, text, blank) {
  match(line[first], /^ */)
  blank = substr("                                ", 1, RLENGTH)
  if (head != "") print blank "/// " head
  verbatim = 0
  for (i = first; i <= last; ++i) {
    text = body(i)
    if ((text ~ /^  +[^ ]/) != verbatim && text != "") {
      verbatim = !verbatim
      printf "%s/// %s\n", blank, verbatim ? "\\verbatim" : "\\endverbatim"
    }
    print blank "/// " (verbatim ? text : escaped(text))
  }
  if (verbatim) print blank "/// \\endverbatim"
}

# Where the comment after code begins, 0 if there is none to document something.
function trailing(text,   at) {
  if (text ~ /^ *(#(if|ifdef|ifndef|else|endif|include)|\/\/|})/) return 0
  at = index(text, "  // ")
  if (!at) at = index(text, "; // ")
  if (!at) return 0
  if (substr(text, 1, at) ~ /[{}] *$/) return 0
  return index(text, "// ")
}

{ line[NR] = $0 }

END {
  for (i = 1; i <= NR;) {
    if (!is_comment(i)) {
      at = trailing(line[i])
      if (!at) { print line[i++]; continue }
      print substr(line[i], 1, at - 1) "///< " escaped(substr(line[i], at + 3))
      for (++i; i <= NR && is_comment(i) && index(line[i], "//") == at; ++i) {
        print substr(line[i], 1, at - 1) "///< " escaped(body(i))
      }
      continue
    }
    if (line[i] ~ /^ *\/\/ --+/) { print line[i++]; continue }
    for (last = i; last < NR && is_comment(last + 1) && line[last + 1] !~ /^ *\/\/ --+/;) ++last
    if (i == 1) {
      if (FILENAME ~ /nibble\.h$/) {
        emit_block(i, last, "\\mainpage nibble")
        print ""
        print "/// \\file"
        print "/// The interface in C. See the main page."
      } else {
        emit_block(i, last, "\\file")
      }
      print ""
    } else if (line[last + 1] ~ /^ *($|}|#(if|ifdef|ifndef|else|endif|include))/) {
      for (j = i; j <= last; ++j) print line[j]
    } else {
      emit_block(i, last, "")
    }
    i = last + 1
  }
}
