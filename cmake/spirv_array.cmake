# spirv_array(FILE WORDS ARRAY): the number of words of a SPIR-V file, and the words as elements of a C++ array.
include_guard()

function(spirv_array spirv words_variable array_variable)
  file(READ "${spirv}" hex HEX)
  string(LENGTH "${hex}" digits)
  math(EXPR words "${digits} / 8")
  math(EXPR rest "${digits} % 8")
  string(SUBSTRING "${hex}" 0 8 magic)
  if(NOT rest EQUAL 0 OR words LESS 5 OR NOT magic STREQUAL "03022307")
    message(FATAL_ERROR "${spirv} is no little-endian SPIR-V module")
  endif()
  string(REGEX REPLACE "(..)(..)(..)(..)" "0x\\4\\3\\2\\1," hex "${hex}")
  # Eight words per line.
  string(REPEAT "0x........," 8 line)
  string(REGEX REPLACE "(${line})" "\\1\n" hex "${hex}")
  set(${words_variable} ${words} PARENT_SCOPE)
  set(${array_variable} "${hex}" PARENT_SCOPE)
endfunction()
