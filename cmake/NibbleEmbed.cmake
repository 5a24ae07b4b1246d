# nibble_embed(FILE NAME OUTPUT): writes a C file OUTPUT with the bytes of FILE in NAME[] and their count in NAMEBytes.
# As a script: cmake -DINPUT=... -DNAME=... -DOUTPUT=... -P NibbleEmbed.cmake
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ "${INPUT}" hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  # A line break after each line of text, so that the compiler gets no very long line.
  string(REPLACE "0x0a," "0x0a,\n" bytes "${bytes}")
  file(WRITE "${OUTPUT}"
    "static const unsigned char ${NAME}[] = {\n${bytes}};\nstatic const unsigned long ${NAME}Bytes = sizeof ${NAME};\n")
  return()
endif()

set(NIBBLE_EMBED_SCRIPT "${CMAKE_CURRENT_LIST_FILE}")

function(nibble_embed file name output)
  add_custom_command(OUTPUT "${output}"
    COMMAND "${CMAKE_COMMAND}" "-DINPUT=${file}" "-DNAME=${name}" "-DOUTPUT=${output}" -P "${NIBBLE_EMBED_SCRIPT}"
    DEPENDS "${file}" "${NIBBLE_EMBED_SCRIPT}"
    COMMENT "Embedding ${name}"
    VERBATIM)
endfunction()
